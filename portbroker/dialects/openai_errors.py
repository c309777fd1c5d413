"""Errors as clients of OpenAI's APIs read them.

The one rule: all four keys are always there; what the class does not say is the provider's own, or null.
"""

import re

from portbroker.conversation import Json
from portbroker.dialects import ErrorAnswer
from portbroker.dialects.told import refused_credential, told_message, told_status
from portbroker.errors import CallError, GatewayError, Kind
from portbroker.headers import answer_headers

_TOLD: dict[Kind, tuple[int, str]] = {
    "invalid": (400, "invalid_request_error"),
    "auth": (401, "invalid_request_error"),
    "billing": (429, "insufficient_quota"),
    "permission": (403, "invalid_request_error"),
    "not_found": (404, "invalid_request_error"),
    "too_large": (413, "invalid_request_error"),
    "context": (400, "invalid_request_error"),
    "rate_limit": (429, "rate_limit_error"),
    "overloaded": (503, "server_error"),
    "timeout": (504, "server_error"),
    "refused": (400, "invalid_request_error"),
    "api": (502, "server_error"),
}

_CODES: dict[Kind, str] = {
    "billing": "insufficient_quota",
    "permission": "permission_denied",
    "too_large": "request_too_large",
    "context": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "server_is_overloaded",
}
"""Codes that clients act on."""

_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)


def openai_error(error: GatewayError, prompt: str) -> ErrorAnswer:
    """The error as OpenAI's API would answer it. `prompt` is the parameter that holds the conversation."""
    status, kind = told_status(error, _TOLD)
    body: Json = {
        "message": told_message(error),
        "type": "invalid_request_error" if status == 400 else kind,
        "param": prompt if error.kind == "context" else error.param,
        "code": error_code(error),
    }
    headers = answer_headers(error.headers, "openai.chat")
    if error.kind == "billing":
        headers["x-should-retry"] = "false"  # whoever pays must act first
    if isinstance(error, CallError) and error.allow:
        headers["allow"] = ", ".join(error.allow)
    return ErrorAnswer(status, headers, {"error": body})


def error_code(error: GatewayError) -> str | None:
    """The code of the class, else the provider's own, else what the message makes plain."""
    if error.kind in _CODES:
        return _CODES[error.kind]
    if refused_credential(error):
        return "provider_credential_refused"
    if error.code:
        return error.code
    if error.kind == "auth":
        return "invalid_api_key"
    if error.kind == "refused":
        return "content_filter"
    return "model_not_found" if error.kind == "not_found" and _MODEL.search(error.message) else None
