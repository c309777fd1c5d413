"""Whatever body a provider sends, an error that says what it is and shows nothing it must not."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portbroker.dialects.anthropic_messages.errors import encode_error as anthropic_error
from portbroker.dialects.faults import holds_fault, read_error_response, read_fault
from portbroker.dialects.openai_chat.errors import encode_error as chat_error
from portbroker.errors import Kind

SECRET = "sk-proj-Zq81mmNbVc72LpOiUy"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"error": {"message": "Bad", "type": "t", "param": None, "code": None}}, "Bad"),
        (400, {"error": "model is required"}, "model is required"),
        (400, {"error": {"message": {"detail": "x"}}}, "Upstream returned HTTP 400"),
        (400, [{"error": {"code": 400, "message": "Invalid value", "status": "INVALID_ARGUMENT"}}], "Invalid value"),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, "no"),
        (400, {"object": "error", "message": "mist", "type": "invalid", "code": 1500}, "mist"),
        (400, {"detail": "Not here"}, "Not here"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}, {"msg": "worse"}]}, "body.n: bad; worse"),
        (404, {"detail": {"error": {"message": "deep"}}}, "deep"),
        (400, {"message": "plain"}, "plain"),
        (200, {"base_resp": {"status_code": 1027, "status_msg": "output sensitive"}}, "output sensitive"),
        (400, {"errors": [{"message": "cf"}], "success": False}, "cf"),
        (400, "just words", "just words"),
        (400, {}, "Upstream returned HTTP 400"),
        (418, None, "Upstream returned HTTP 418"),
        (0, 7, "Upstream returned an error"),
        (500, {"error": {"message": "<html><title>Oops</title></html>"}}, "Upstream returned HTTP 500 (Oops)"),
        (
            400,
            {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error":{"message":"too hot"}}'}}},
            "Provider returned error: too hot",
        ),
    ],
)  # fmt: skip
def test_every_form_of_an_error_body_gives_its_message(status: int, body: object, message: str) -> None:
    assert read_fault(status, body).message == message


def _error(message: str = "x", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, _error(), "invalid"),
        (405, _error(), "invalid"),
        (422, _error(), "invalid"),
        (401, _error(), "auth"),
        (400, _error(code="invalid_api_key"), "auth"),
        (400, _error("API key not valid. Please pass a valid API key."), "auth"),
        (402, _error(), "billing"),
        (429, _error(code="insufficient_quota"), "billing"),
        (429, _error(type="insufficient_quota"), "billing"),
        (400, _error("Your credit balance is too low to access the Anthropic API."), "billing"),
        (403, _error(), "permission"),
        (404, _error(), "not_found"),
        (400, _error(code="model_not_found"), "not_found"),
        (413, _error(), "too_large"),
        (408, _error(), "timeout"),
        (504, _error(), "timeout"),
        (429, _error(), "rate_limit"),
        (429, _error("The engine is currently overloaded"), "overloaded"),
        (503, _error(), "overloaded"),
        (529, _error(), "overloaded"),
        (500, _error("Overloaded"), "overloaded"),
        (500, _error(code="slow_down"), "overloaded"),
        (400, _error("the overloaded operator is not supported"), "invalid"),
        (400, _error(code="content_filter"), "refused"),
        (500, _error(), "api"),
        (409, _error(), "api"),
        (307, None, "api"),
        (429, _error("Too many tokens, please wait before trying again"), "rate_limit"),
        (0, _error(code=502), "api"),
        (0, _error(code=429), "rate_limit"),
        (0, _error(code="401"), "auth"),
        (0, _error(type="overloaded_error"), "overloaded"),
        (0, _error(type="rate_limit_error"), "rate_limit"),
        (0, _error(type="invalid_request_error"), "invalid"),
        (0, _error(status="RESOURCE_EXHAUSTED"), "rate_limit"),
        (0, _error("prompt is too long", type="invalid_request_error"), "context"),
        (0, _error("Too many tokens per minute", code="rate_limit_exceeded"), "rate_limit"),
        (0, _error(), "api"),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "m"}}, "rate_limit"),
        (200, {"base_resp": {"status_code": 2049, "status_msg": "m"}}, "auth"),
        (200, {"base_resp": {"status_code": 9, "status_msg": "m"}}, "api"),
    ],
)
def test_an_error_has_the_class_of_its_most_specific_sign(status: int, body: object, kind: Kind) -> None:
    assert read_fault(status, body).kind == kind


def test_a_numeric_code_in_a_stream_is_the_status() -> None:
    assert read_fault(0, _error(code=502)).status == 502


def test_a_request_that_was_not_taken_yet_may_be_tried_elsewhere() -> None:
    assert [s for s in (400, 404, 409, 413, 422, 425) if read_fault(s, _error()).retryable] == [409, 425]


def test_a_refused_credential_is_told_by_the_providers_name_and_nothing_else() -> None:
    body = _error("Incorrect key hunter2-and-more given; find yours at example.com")
    error = read_fault(401, body, provider="Groq")
    assert error.message == "provider 'Groq' refused the gateway's credential"
    assert "Incorrect" in read_fault(401, body, provider="Groq", callers_credential=True).message


def test_param_and_code_are_kept_but_a_number_or_a_sentence_is_no_code() -> None:
    error = read_fault(400, _error(param="messages[1].role", code="bad_role"))
    assert (error.param, error.code) == ("messages[1].role", "bad_role")
    for code in (400, "400", "Client specified an invalid argument", SECRET):
        assert read_fault(400, _error(code=code)).code is None
    details = {
        "type": "error",
        "error": {"type": "x", "message": "m", "details": {"error_code": "ramp_limit_exceeded"}},
    }
    assert read_fault(429, details).code == "ramp_limit_exceeded"


def test_a_field_maps_verdict_goes_before_what_is_known_here() -> None:
    def classify(body: Any, status: int) -> tuple[Kind, str | None] | None:
        return ("refused", body["error"].get("why")) if status == 400 else None

    mapped = read_fault(400, _error(why="not allowed"), classify=classify)
    assert (mapped.kind, mapped.message) == ("refused", "not allowed")
    assert (
        read_fault(400, _error(), classify=classify).message,
        read_fault(500, _error(), classify=classify).kind,
    ) == (
        "x",
        "api",
    )


def test_a_field_map_judges_a_list_by_its_first_item_and_a_page_by_its_status() -> None:
    def classify(body: Any, status: int) -> tuple[Kind, str | None] | None:
        return ("billing", None) if status == 402 or body.get("error") == {"status": "BROKE"} else None

    assert read_fault(400, [{"error": {"status": "BROKE"}}], classify=classify).kind == "billing"
    assert read_error_response(402, {}, b"<html>", "P", classify=classify).kind == "billing"
    assert read_fault(400, [3], classify=classify).kind == "invalid"


def test_a_page_is_named_and_never_forwarded() -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head><body><p>cf-ray 123</p></body></html>"
    for headers in ({"content-type": "text/html; charset=utf-8"}, {}):
        assert read_error_response(502, headers, page, "P").message == "Upstream returned HTTP 502 (502 Bad Gateway)"
    json_as_html = read_error_response(500, {"content-type": "text/html"}, b'{"error":"x"}', "P")
    assert json_as_html.message == 'Upstream returned HTTP 500 ({"error":"x"})'


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"null", b"[]", b'"', b"{", b"   ", b"[" * 5000])
def test_no_body_is_too_odd(body: bytes) -> None:
    assert read_error_response(500, {}, body, "P").message.startswith("Upstream returned HTTP 500")


def test_headers_a_client_acts_on_are_kept_and_others_are_not() -> None:
    sent = {
        "retry-after": "3", "retry-after-ms": "3000", "x-should-retry": "true", "request-id": "req_1",
        "anthropic-ratelimit-requests-limit": "5", "x-ratelimit-limit-tokens": "9", "set-cookie": "a=b",
        "server": "x", "content-type": "application/json",
    }  # fmt: skip
    kept = read_error_response(429, sent, b"{}", "P").headers
    assert set(sent) - set(kept) == {"set-cookie", "server", "content-type"}


def test_an_answer_is_told_from_an_error_that_came_with_a_200() -> None:
    faults: list[object] = [
        {"error": "x"}, {"error": {"message": "x"}}, [{"error": {"code": 400}}], {"type": "error"}, {"object": "error"},
        {"base_resp": {"status_code": 1}},
    ]  # fmt: skip
    answers: list[object] = [
        {"choices": [], "error": None}, {"type": "message"}, [], [1], None, 3, {"base_resp": {"status_code": 0}},
        {"error": ""},
    ]  # fmt: skip
    assert all(map(holds_fault, faults))
    assert not any(map(holds_fault, answers))


WORDS = st.sampled_from([
    "error", "message", "type", "code", "param", "detail", "details", "status", "error_code", "msg", "loc", "object",
    "base_resp", "status_code", "status_msg", "metadata", "raw", "errors", "n_ctx", "n_prompt_tokens",
])  # fmt: skip
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from([
        SECRET, f"Bearer {SECRET}", f"<html>{SECRET}</html>", f"Incorrect API key provided: {SECRET}.", "1" * 5000,
        f"maximum context length is {'9' * 5000}", f'{{"error":{{"message":"{SECRET}"}}}}', "x" * 2040 + SECRET * 3,
        f"key={SECRET}", "context_length_exceeded", "prompt is too long: 5 tokens > 4 maximum", "\ud800",
    ]),
)  # fmt: skip
BODIES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=10
)
STATUSES = st.sampled_from([0, 200, 307, 400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 529])


@given(STATUSES, BODIES, st.booleans())
@example(0, {"param": "<html>"}, False)
def test_no_upstream_body_raises_or_leaks_a_key(status: int, body: Any, callers: bool) -> None:
    error = read_fault(status, body, provider="P", callers_credential=callers)
    shown = f"{error.message} {error.code} {error.param}"
    assert SECRET[3:] not in shown
    assert "<html" not in shown.lower()
    assert len(error.message.encode()) <= 2048
    assert error.message.strip()
    for encode_error in (anthropic_error, chat_error):
        answer = encode_error(error, "req_1")
        assert SECRET[3:] not in orjson.dumps(answer.body).decode()
        assert 400 <= answer.status < 600


@given(STATUSES, st.binary(max_size=300), st.sampled_from(["", "application/json", "text/html"]))
def test_no_upstream_bytes_raise(status: int, body: bytes, content_type: str) -> None:
    raw = body + b" " + SECRET.encode()
    error = read_error_response(status, {"content-type": content_type}, raw, "P")
    orjson.dumps(error.message)
    assert SECRET[3:] not in error.message


def test_the_callers_secrets_are_cut_out_by_the_letter() -> None:
    assert "sesame" not in read_fault(400, _error("no open-sesame today"), secrets=["open-sesame"]).message


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"error_code": "thread_not_found"}, {"error_code": "thread_not_found"}),
        (
            {"error_code": "thread_unsupported_request", "unsupported": ["fallbacks"]},
            {"error_code": "thread_unsupported_request", "unsupported": ["fallbacks"]},
        ),
        ({"error_code": "a", "hint": "words for people", "n": 5, "of": {}, "none": []}, {"error_code": "a"}),
        ({"error_code": "a", "key": SECRET, "keys": ["b", SECRET]}, {"error_code": "a"}),
        ({"unsupported": ["fallbacks"]}, None),
        ({"error_code": 5}, None),
        ("thread_not_found", None),
    ],
)
def test_what_an_error_says_to_programs_reaches_an_anthropic_client(details: object, told: object) -> None:
    error = read_fault(400, _error(details=details), secrets=[SECRET])
    assert anthropic_error(error, "req_1").body["error"].get("details") == told
