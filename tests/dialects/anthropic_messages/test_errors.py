"""Every class of error as an Anthropic client reads it, and the words that Claude clients act on."""

import pytest

from portbroker.dialects.anthropic_messages.errors import encode_error
from portbroker.errors import KINDS, CallError, GatewayError, Kind, Overflow, ProviderError


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        ("invalid", 400, "invalid_request_error"),
        ("auth", 502, "api_error"),
        ("billing", 402, "billing_error"),
        ("permission", 403, "permission_error"),
        ("not_found", 404, "not_found_error"),
        ("too_large", 413, "request_too_large"),
        ("context", 400, "invalid_request_error"),
        ("rate_limit", 429, "rate_limit_error"),
        ("overloaded", 529, "overloaded_error"),
        ("timeout", 504, "timeout_error"),
        ("refused", 400, "invalid_request_error"),
        ("api", 502, "api_error"),
    ],
)
def test_a_providers_error_has_the_status_and_type_of_its_class(kind: Kind, status: int, told: str) -> None:
    answer = encode_error(ProviderError("m", kind=kind, provider="P"), "req_1")
    assert (answer.status, answer.body["error"]["type"]) == (status, told)
    assert answer.body["type"] == "error"
    assert answer.body["request_id"] == "req_1"


def test_every_class_can_be_told() -> None:
    assert all(encode_error(GatewayError("m", kind=kind), "r").status >= 400 for kind in KINDS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("upstream", "status", "told"),
    [(500, 500, "api_error"), (520, 520, "api_error"), (0, 502, "api_error"), (200, 502, "api_error"),
     (307, 502, "api_error"), (409, 400, "invalid_request_error")],
)  # fmt: skip
def test_an_unclassed_error_keeps_its_status_where_it_is_one_of_a_server(upstream: int, status: int, told: str) -> None:
    answer = encode_error(ProviderError("m", status=upstream), "r")
    assert (answer.status, answer.body["error"]["type"]) == (status, told)


def test_whose_credential_was_refused_decides_between_401_and_502() -> None:
    assert encode_error(CallError("no key", kind="auth", status=401), "r").status == 401
    own = encode_error(ProviderError("bad key", kind="auth", status=401, provider="P", callers_credential=True), "r")
    assert (own.status, own.body["error"]) == (401, {"type": "authentication_error", "message": "bad key"})
    gateways = encode_error(ProviderError("refused", kind="auth", status=401, provider="P"), "r")
    assert (gateways.status, gateways.body["error"]["message"]) == (502, "P: refused")


@pytest.mark.parametrize(
    ("overflow", "message"),
    [
        (Overflow(130500, 128000), "prompt is too long: 130500 tokens > 128000 maximum"),
        (Overflow(1000, 4097, 4000), "input length and `max_tokens` exceed context limit: 1000 + 4000 > 4097"),
        (Overflow(None, 4097), "prompt is too long"),
        (Overflow(100, 4097), "prompt is too long"),
        (Overflow(), "prompt is too long"),
        (None, "prompt is too long"),
    ],
)
def test_an_overflow_is_told_in_the_words_that_claude_code_acts_on(overflow: Overflow | None, message: str) -> None:
    error = ProviderError("maximum context length", kind="context", status=400, overflow=overflow)
    assert encode_error(error, "r").body["error"]["message"] == message


def test_a_405_says_what_the_path_takes_and_a_409_is_a_conflict() -> None:
    answer = encode_error(CallError("no", status=405, allow=("POST", "OPTIONS")), "r")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert encode_error(CallError("no", status=409), "r").body["error"]["type"] == "conflict_error"


def test_the_code_of_a_call_error_is_what_the_sdk_reads_and_a_providers_code_is_not_shown() -> None:
    answer = encode_error(CallError("no threads", code="thread_unsupported_request"), "r")
    assert answer.body["error"]["details"] == {"error_code": "thread_unsupported_request"}
    assert "details" not in encode_error(ProviderError("m", code="x"), "r").body["error"]


def test_rate_limits_and_waits_come_in_anthropics_spelling() -> None:
    headers = {"retry-after": "3", "x-ratelimit-limit-requests": "5", "date": "Sun, 22 Nov 2026 12:00:00 GMT"}
    answer = encode_error(ProviderError("m", kind="rate_limit", status=429, headers=headers), "r")
    assert answer.headers == {"retry-after": "3", "anthropic-ratelimit-requests-limit": "5"}


def test_billing_is_never_worth_a_retry() -> None:
    error = ProviderError("m", kind="billing", status=402, headers={"x-should-retry": "true"})
    assert encode_error(error, "r").headers["x-should-retry"] == "false"
