"""Every class of error as a Chat Completions client reads it."""

import pytest

from portbroker.dialects.openai_chat.errors import encode_error
from portbroker.errors import KINDS, CallError, GatewayError, Kind, Overflow, ProviderError


@pytest.mark.parametrize(
    ("kind", "status", "told", "code"),
    [
        ("invalid", 400, "invalid_request_error", None),
        ("auth", 502, "server_error", "provider_credential_refused"),
        ("billing", 429, "insufficient_quota", "insufficient_quota"),
        ("permission", 403, "invalid_request_error", "permission_denied"),
        ("not_found", 404, "invalid_request_error", None),
        ("too_large", 413, "invalid_request_error", "request_too_large"),
        ("context", 400, "invalid_request_error", "context_length_exceeded"),
        ("rate_limit", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("overloaded", 503, "server_error", "server_is_overloaded"),
        ("timeout", 504, "server_error", None),
        ("refused", 400, "invalid_request_error", "content_filter"),
        ("api", 502, "server_error", None),
    ],
)
def test_a_providers_error_has_status_type_and_code_of_its_class(
    kind: Kind, status: int, told: str, code: str | None
) -> None:
    answer = encode_error(ProviderError("m", kind=kind, provider="P"), "req_1")
    error = answer.body["error"]
    assert (answer.status, error["type"], error["code"]) == (status, told, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_every_class_can_be_told() -> None:
    assert all(encode_error(GatewayError("m", kind=kind), "r").status >= 400 for kind in KINDS)  # type: ignore[arg-type]


@pytest.mark.parametrize(("upstream", "status"), [(500, 500), (502, 502), (0, 502), (200, 502), (425, 400)])
def test_an_unclassed_error_keeps_its_status_where_it_is_one_of_a_server(upstream: int, status: int) -> None:
    assert encode_error(ProviderError("m", status=upstream), "r").status == status


def test_a_model_that_is_not_found_has_its_own_code_and_a_path_has_not() -> None:
    def code(message: str) -> object:
        return encode_error(CallError(message, kind="not_found", status=404), "r").body["error"]["code"]

    assert code("the model 'x' does not exist") == "model_not_found"
    assert code("there is nothing at /v1/models/all") is None


def test_an_overflow_keeps_its_words_and_points_at_the_messages() -> None:
    error = ProviderError("too long", kind="context", status=400, overflow=Overflow(5, 4), param="x", code="y")
    assert encode_error(error, "r").body["error"] == {
        "message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
    }  # fmt: skip


def test_a_callers_own_key_is_refused_with_401() -> None:
    for error in (
        CallError("no key", kind="auth", status=401),
        ProviderError("no key", kind="auth", status=401, callers_credential=True),
    ):
        answer = encode_error(error, "r")
        assert (answer.status, answer.body["error"]["code"]) == (401, "invalid_api_key")


def test_param_and_code_of_a_chat_provider_are_kept() -> None:
    error = encode_error(ProviderError("m", kind="invalid", status=400, param="n", code="bad_n"), "r").body["error"]
    assert (error["param"], error["code"]) == ("n", "bad_n")


def test_a_405_says_what_the_path_takes() -> None:
    answer = encode_error(CallError("no", status=405, allow=("POST",)), "r")
    assert (answer.status, answer.headers) == (405, {"allow": "POST"})


def test_billing_is_never_worth_a_retry() -> None:
    assert encode_error(ProviderError("m", kind="billing"), "r").headers == {"x-should-retry": "false"}
