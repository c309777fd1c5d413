"""When every target has failed: the one error that tells the client most.

The one rule: a context overflow is never hidden, because only the client can mend it; after it comes what the client
can wait for.
"""

from collections.abc import Sequence

from portbroker.errors import GatewayError, Kind, ProviderError

_TELLING: tuple[Kind, ...] = (
    "context", "too_large", "refused", "invalid", "not_found", "rate_limit", "overloaded", "timeout", "api", "billing",
    "permission", "auth",
)  # fmt: skip


def worst(failures: Sequence[GatewayError]) -> GatewayError:
    """The most telling of `failures` (at least one, in the order of the attempts), naming all that was tried."""
    telling = min(failures, key=lambda error: _TELLING.index(error.kind))
    if len(failures) == 1 or not isinstance(telling, ProviderError) or not telling.retryable:
        return telling
    tried = "; ".join(f"{getattr(error, 'provider', '') or 'gateway'}: {error}" for error in failures)
    telling.message = f"no provider could answer ({len(failures)} tried): {tried}"
    return telling
