"""How hard the gateway tries, and what it keeps: the compiled words of `retry`, `breaker`, `limits`, `health_check`,
`hedge` and `stored_responses`.

The one rule: plain values with the defaults of the file; what is done by them is said elsewhere.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a provider that fails is left alone, and for how long. Times in seconds."""

    failures: int = 5
    error_rate: float = 0.5
    least_calls: int = 20
    window: float = 30.0
    cool_down: float = 1.0
    longest: float = 120.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after what, a call is tried again. Times in seconds."""

    attempts: int = 4
    same_target: int = 1
    first_backoff: float = 0.1
    most_backoff: float = 5.0
    budget_share: float = 0.2
    budget_least: int = 10
    retry_after_cap: float = 30.0
    wait: float = 10.0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long, and in how much memory, responses are kept that a later call may go on from."""

    seconds: float = 3600.0
    most_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Quota:
    """What one provider, or one of its keys, may be asked. None: as much as anyone likes."""

    concurrency: int | None = None
    queue: int = 0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas of a provider as a whole and of each of its keys."""

    provider: Quota = Quota()
    each_key: Quota = Quota()


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A probe of a provider without a call. It asks for `path`, or has `model` say one token."""

    interval: float
    timeout: float
    path: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Hedge:
    """When a second target is started beside the first: after seconds, or (None) when 95 of 100 calls had content."""

    after: float | None = None
