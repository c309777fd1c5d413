"""Errors as a Responses client reads them: before an answer over HTTP, within one as what its response failed with.

The one rule: Codex acts on the code, so every class has one that it knows.
"""

from portbroker.conversation import Json
from portbroker.dialects import ErrorAnswer
from portbroker.dialects.openai_errors import openai_error
from portbroker.dialects.told import refused_credential, told_message
from portbroker.errors import GatewayError, Kind

_CODES: dict[Kind, str] = {
    "invalid": "invalid_prompt",
    "not_found": "invalid_prompt",
    "too_large": "invalid_prompt",
    "refused": "invalid_prompt",
    "billing": "insufficient_quota",
    "context": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "server_is_overloaded",
}
"""All others are the server's, and worth another try."""


def encode_error(error: GatewayError, request_id: str) -> ErrorAnswer:
    """The error as the API would answer it. The request id travels in headers only."""
    return openai_error(error, "input")


def failure(error: GatewayError) -> Json:
    """The `error` of a response that failed."""
    code = _CODES.get(error.kind)
    if code is None:
        code = "server_error" if refused_credential(error) else error.code or "server_error"
    return {"code": code, "message": _message(error)}


def _message(error: GatewayError) -> str:
    """The message. Codex waits as long as it says: "try again in 3s"."""
    message = told_message(error)
    wait = error.headers.get("retry-after", "")
    if error.kind == "rate_limit" and wait.isdecimal() and "try again in" not in message.lower():
        return f"{message.rstrip('. ')}. Please try again in {wait}s."
    return message
