"""Which class an upstream error has, from its status, codes and words.

The one rule: the most specific sign wins: a code before a status, a status before a type.
"""

from portbroker.dialects.fault_words import FaultWords
from portbroker.dialects.overflow import is_overflow
from portbroker.errors import Kind

_CODES: dict[str, Kind] = {
    "insufficient_quota": "billing", "billing_not_active": "billing", "billing_error": "billing",
    "invalid_api_key": "auth",
    "server_is_overloaded": "overloaded", "slow_down": "overloaded", "overloaded_error": "overloaded",
    "engine_overloaded_error": "overloaded",
    "model_not_found": "not_found",
    "content_filter": "refused", "content_policy_violation": "refused",
}  # fmt: skip
"""Codes that say it all, whatever the status."""

_MILD_CODES: dict[str, Kind] = {
    "invalid_request_error": "invalid", "INVALID_ARGUMENT": "invalid", "FAILED_PRECONDITION": "invalid",
    "authentication_error": "auth", "UNAUTHENTICATED": "auth",
    "permission_error": "permission", "permission_denied": "permission", "PERMISSION_DENIED": "permission",
    "not_found_error": "not_found", "NOT_FOUND": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit", "rate_limit_exceeded": "rate_limit", "RESOURCE_EXHAUSTED": "rate_limit",
    "timeout_error": "timeout", "DEADLINE_EXCEEDED": "timeout",
    "UNAVAILABLE": "overloaded",
}  # fmt: skip
"""Codes and types that count where no status says it: in a stream, or in a body that came with a 200."""

_STATUSES: dict[int, Kind] = {
    401: "auth", 402: "billing", 403: "permission", 404: "not_found", 408: "timeout", 413: "too_large",
    429: "rate_limit", 503: "overloaded", 504: "timeout", 529: "overloaded",
    # Neither is a fault of the request itself: the same one may pass elsewhere, or in a moment.
    409: "api", 425: "api",
}  # fmt: skip

_RATE = frozenset({"rate_limit_exceeded", "rate_limit_error"})

_MINIMAX: dict[str, Kind] = {"1002": "rate_limit", "1039": "rate_limit", "1004": "auth", "2049": "auth"}


def status_of(status: int, words: FaultWords) -> int:
    """The HTTP status, or where HTTP reported no error, a numeric code that can only mean one."""
    if status < 300 and words.code.isdecimal() and 400 <= int(words.code[:9]) <= 599:
        return int(words.code)
    return status


def kind_of(status: int, words: FaultWords) -> Kind:
    """The class. `status` is that of `status_of`: 0 or 2xx where nothing tells one."""
    if status < 300 and "status_msg" in words.fields:
        return _MINIMAX.get(words.code, "api")
    codes = words.codes
    if sure := next((_CODES[code] for code in codes if code in _CODES), None):
        return sure
    message = words.message.lower()
    if is_overflow(message, codes, status) and _RATE.isdisjoint(codes):
        return "context"
    return _by_words(status, message) or _by_status(status, codes)


def _by_words(status: int, message: str) -> Kind | None:
    """What some servers say in words alone."""
    if "overloaded" in message and not 400 <= status < 429:
        return "overloaded"
    if status == 400 and "credit balance is too low" in message:
        return "billing"
    if status == 400 and "api key not valid" in message:
        return "auth"
    return None


def _by_status(status: int, codes: tuple[str, ...]) -> Kind:
    if status in _STATUSES:
        return _STATUSES[status]
    if 400 <= status < 500:
        return "invalid"
    if status < 300:
        return next((_MILD_CODES[code] for code in codes if code in _MILD_CODES), "api")
    return "api"
