"""Errors as a Responses client reads them, before and within an answer."""

from typing import get_args

import pytest

from portbroker.dialects.openai_responses.errors import encode_error, failure
from portbroker.errors import CallError, Kind, Overflow, ProviderError


def test_an_overflow_points_at_the_input() -> None:
    error = encode_error(ProviderError("too long", kind="context", status=400, overflow=Overflow(5, 4)), "r")
    assert error.body["error"] == {
        "message": "too long", "type": "invalid_request_error", "param": "input", "code": "context_length_exceeded",
    }  # fmt: skip


def test_a_code_of_ours_reaches_the_client() -> None:
    error = encode_error(CallError("no", param="previous_response_id", code="previous_response_not_found"), "r")
    assert (error.status, error.body["error"]["code"]) == (400, "previous_response_not_found")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("context", "context_length_exceeded"),
        ("billing", "insufficient_quota"),
        ("rate_limit", "rate_limit_exceeded"),
        ("overloaded", "server_is_overloaded"),
        ("invalid", "invalid_prompt"),
        ("refused", "invalid_prompt"),
        ("auth", "server_error"),
        ("timeout", "server_error"),
        ("api", "server_error"),
    ],
)
def test_a_response_fails_with_a_code_that_clients_act_on(kind: Kind, code: str) -> None:
    assert failure(ProviderError("m", kind=kind, provider="P"))["code"] == code


def test_every_class_can_be_told() -> None:
    assert all(failure(ProviderError("m", kind=kind)).keys() == {"code", "message"} for kind in get_args(Kind))
    assert failure(ProviderError("m", code="usage_not_included"))["code"] == "usage_not_included"


def test_a_rate_limit_says_how_long_to_wait() -> None:
    def told(message: str, **headers: str) -> str:
        said: str = failure(ProviderError(message, kind="rate_limit", headers=headers))["message"]
        return said

    assert told("Slow down.", **{"retry-after": "3"}) == "Slow down. Please try again in 3s."
    assert told("Please try again in 9s.", **{"retry-after": "3"}) == "Please try again in 9s."
    assert told("Slow down.", **{"retry-after": "Mon, 23 Nov 2026 00:00:00 GMT"}) == told("Slow down.") == "Slow down."
