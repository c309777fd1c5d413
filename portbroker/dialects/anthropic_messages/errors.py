"""Errors as an Anthropic client reads them.

The one rule: the status and the type come from the class alone, and the words of an overflow are those that Claude
clients look for, because they act on them.
"""

from portbroker.conversation import Json
from portbroker.dialects import ErrorAnswer
from portbroker.dialects.told import told_message, told_status
from portbroker.errors import CallError, GatewayError, Kind, ProviderError
from portbroker.headers import answer_headers

_TOLD: dict[Kind, tuple[int, str]] = {
    "invalid": (400, "invalid_request_error"),
    "auth": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "permission": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "too_large": (413, "request_too_large"),
    "context": (400, "invalid_request_error"),
    "rate_limit": (429, "rate_limit_error"),
    "overloaded": (529, "overloaded_error"),
    "timeout": (504, "timeout_error"),
    "refused": (400, "invalid_request_error"),
    "api": (502, "api_error"),
}

_TYPES = {400: "invalid_request_error", 409: "conflict_error"}


def encode_error(error: GatewayError, request_id: str) -> ErrorAnswer:
    """The error as Anthropic's API would answer it."""
    status, kind = told_status(error, _TOLD)
    fault: Json = {"type": _TYPES.get(status, kind), "message": _message(error)}
    if isinstance(error, CallError) and error.code:
        fault["details"] = {"error_code": error.code}
    elif isinstance(error, ProviderError) and error.details:
        fault["details"] = error.details
    headers = answer_headers(error.headers, "anthropic.messages")
    if error.kind == "billing":
        headers["x-should-retry"] = "false"  # whoever pays must act first
    if isinstance(error, CallError) and error.allow:
        headers["allow"] = ", ".join(error.allow)
    return ErrorAnswer(status, headers, {"type": "error", "error": fault, "request_id": request_id})


def _message(error: GatewayError) -> str:
    return _overflow(error) if error.kind == "context" else told_message(error)


def _overflow(error: GatewayError) -> str:
    """Claude Code compacts at the first phrase and asks for fewer output tokens at the second."""
    numbers = error.overflow
    if numbers and numbers.tokens and numbers.limit:
        if numbers.output:
            sum_ = f"{numbers.tokens} + {numbers.output} > {numbers.limit}"
            return f"input length and `max_tokens` exceed context limit: {sum_}"
        if numbers.tokens > numbers.limit:
            return f"prompt is too long: {numbers.tokens} tokens > {numbers.limit} maximum"
    return "prompt is too long"
