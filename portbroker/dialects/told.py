"""What every dialect tells of an error alike: whose credential was refused, and when a status is the upstream's own.

The one rule: no words of any wire format.
"""

from collections.abc import Mapping

from portbroker.errors import CallError, GatewayError, Kind, ProviderError

_UNSETTLED = frozenset({409, 425})
"""Upstream statuses that are worth another target, but to the client are a request that was not taken."""


def refused_credential(error: GatewayError) -> bool:
    """Whether a provider refused the gateway's own credential: nothing that the client could mend."""
    return error.kind == "auth" and isinstance(error, ProviderError) and not error.callers_credential


def told_message(error: GatewayError) -> str:
    """The message; of a refused credential never without the provider's name."""
    if isinstance(error, ProviderError) and refused_credential(error) and error.provider not in error.message:
        return f"{error.provider}: {error.message}"
    return error.message


def told_status(error: GatewayError, told: Mapping[Kind, tuple[int, str]]) -> tuple[int, str]:
    """Status and type: those of the class in `told`, but for the few cases in which the status says more."""
    if refused_credential(error):
        return told["api"]
    status, kind = told[error.kind]
    if isinstance(error, CallError) and error.kind in ("invalid", "timeout"):
        return (error.status if 400 <= error.status < 500 else status), kind
    if error.kind == "api" and 500 <= error.status < 600:
        return error.status, kind
    if error.kind == "api" and error.status in _UNSETTLED:
        return 400, kind
    return status, kind
