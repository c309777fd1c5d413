"""What the database keeps, as frozen values: keys, usage, budgets, windows and the audit log.

The one rule: times are whole microseconds since 1970 (UTC) and money is whole nano-dollars, so that every database adds
and compares them alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

Micros: TypeAlias = int
"""Microseconds since 1970, UTC; or a span of them."""
Nano: TypeAlias = int
"""Nano-dollars: 1_000_000_000 are one dollar."""
Period = Literal["day", "week", "month", "total"]
Dimension = Literal["key", "model", "provider", "day", "tag"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

PAGE = 1000
"""The most rows that one page has, whatever is asked."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a key may be used for, as globs. None: anything."""

    routes: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How much a key may ask for. None: as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a key may spend in a period; the period begins at midnight in `time_zone`, weeks on Monday."""

    amount_nano: Nano
    period: Period
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that the gateway has given out; of the secret itself only its HMAC.

    `prefix` is for display. `previous_hash` is good until `previous_until`, after a rotation with overlap. `version`
    is 1 for a new key, and grows by one with each change.
    """

    id: str
    name: str
    hash: bytes = field(repr=False)
    prefix: str
    created_at: Micros
    previous_hash: bytes | None = field(default=None, repr=False)
    previous_until: Micros | None = None
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expires_at: Micros | None = None
    enabled: bool = True
    revoked_at: Micros | None = None
    admin: bool = False
    scopes: Scopes = Scopes()
    limits: KeyLimits = KeyLimits()
    budget: Budget | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that somebody made. `id` grows with time; `details` never holds a secret."""

    id: str
    at: Micros
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True, slots=True)
class UsageAttempt:
    """One try on one target, in the record of its call."""

    provider: str
    model: str
    outcome: str
    status: int = 0
    us: Micros = 0
    key: str = ""
    why: str = "first"


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One call, where it ended. Its `id` is a UUIDv7 made when the call began: whoever tells it twice is counted once.

    `input_tokens` holds those read from and written to a cache too, `output_tokens` those of reasoning. `outcome` is
    `ok`, the kind of error, or `cancelled`. `period` is the period of the key's budget that the call is paid from
    (`period_key`), empty for a key without one.
    """

    id: str
    at: Micros
    key_id: str = ""
    caller: str = ""
    client: str = ""
    route: str = ""
    dialect: str = ""
    model: str = ""
    provider: str = ""
    upstream_model: str = ""
    attempts: tuple[UsageAttempt, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: Nano = 0
    price: Mapping[str, Any] = field(default_factory=dict)
    latency_us: Micros = 0
    first_token_us: Micros | None = None
    revision: str = ""
    status: int = 0
    outcome: str = "ok"
    partial: bool = False
    estimated: bool = False
    stream: bool = False
    tags: tuple[str, ...] = ()
    period: str = ""


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which calls are meant: those from `since` on and before `until` of which all that is given is true."""

    since: Micros | None = None
    until: Micros | None = None
    key_id: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Sums over calls, one for each value of all of `by` together; days are those of UTC.

    Grouped by `tag`, a call with two tags counts in two groups, and one without in none. `after` is the `next` of the
    page before.
    """

    by: tuple[Dimension, ...]
    where: UsageFilter = UsageFilter()
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """The sums of one group. `values` are as `by` of the query; `caller` is a name last seen with these calls."""

    values: tuple[str, ...]
    caller: str
    calls: int
    failed: int
    partial: int
    estimated: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_nano: Nano
    latency_us: Micros


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Some groups, in the order of their values; `next` is where the next page begins, None at the end."""

    groups: tuple[UsageGroup, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some calls, the newest first; `next` is where the next page begins, None at the end."""

    events: tuple[UsageEvent, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """The most that a call may cost, held back from its key's budget until it is settled or `expires_at`.

    `id` is that of the usage event to come; `period` is the `period_key` that the call falls in.
    """

    id: str
    key_id: str
    period: str
    amount_nano: Nano
    budget_nano: Nano
    expires_at: Micros


@dataclass(frozen=True, slots=True)
class Reserved:
    """Whether a reservation was made, and what of the budget is left after it."""

    granted: bool
    remaining_nano: Nano


@dataclass(frozen=True, slots=True)
class Spending:
    """What a key has spent in a period, and what is held back for calls under way."""

    spent_nano: Nano = 0
    reserved_nano: Nano = 0


@dataclass(frozen=True, slots=True)
class Take:
    """So much from a bucket that gives at most `limit` in any span of `window` microseconds."""

    bucket: str
    amount: int
    limit: int
    window: Micros = 60_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """How one `Take` went: whether there was enough, what is left now, and if not enough, when there may be."""

    granted: bool
    remaining: int
    retry_after: Micros = 0
