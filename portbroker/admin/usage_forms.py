"""Usage as clients of the admin API ask for it and see it, as JSON and as CSV.

The one rule: a table that leaves here holds only text and numbers; no name that a caller chose becomes a formula.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from portbroker.admin.forms import Page
from portbroker.admin.times import dollars, micros, shown
from portbroker.store.records import Dimension, UsageAttempt, UsageEvent, UsageFilter, UsageGroup

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
Format = Literal["json", "csv"]
_WORDS = "|".join(DIMENSIONS)


def _moment(value: Any) -> Any:
    """A day as the moment at which it begins, in UTC."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
        except ValueError:
            return value
    return value


def _within(moment: datetime) -> datetime:
    if not 1970 < moment.year < 9999:
        raise ValueError("must be a time from 1971 to 9998")
    return moment


_When = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_within)]
_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\u0000]*$")]


def _each_once(by: str) -> str:
    if len(set(by.split(","))) < by.count(",") + 1:
        raise ValueError("must name each word once")
    return by


class Which(Page):
    """Which calls, and how they are told."""

    since: _When | None = Field(None, description="From this time, or day (UTC), on.")
    until: _When | None = Field(None, description="Before this time, or day (UTC).")
    key: _Text | None = Field(None, description="Of the key of this id.")
    model: _Text | None = Field(None, description="For this model, as it was asked for.")
    provider: _Text | None = Field(None, description="That this provider answered.")
    tag: _Text | None = Field(None, description="With this tag.")
    outcome: _Text | None = Field(None, description="`ok`, the kind of error, or `cancelled`.")
    format: Format = "json"

    def filter(self) -> UsageFilter:
        """The calls that are meant."""
        return UsageFilter(
            micros(self.since), micros(self.until), self.key, self.model, self.provider, self.tag, self.outcome
        )


class Sums(Which):
    """Which sums."""

    by: Annotated[
        str,
        Field(
            pattern=rf"^({_WORDS})(,({_WORDS})){{0,4}}$", description="One or more of key, model, provider, day, tag."
        ),
        AfterValidator(_each_once),
    ] = "key"

    def dimensions(self) -> tuple[Dimension, ...]:
        """What is grouped by."""
        return tuple(self.by.split(","))  # type: ignore[arg-type]


class GroupShown(BaseModel):
    """The calls of one group, counted. `cost` is in US dollars; latency is the mean, in milliseconds."""

    model_config = ConfigDict(title="Usage of a group")

    key: str | None = None
    model: str | None = None
    provider: str | None = None
    day: str | None = None
    tag: str | None = None
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
    cost: float
    latency_ms: float


class UsageShown(BaseModel):
    """Some groups, in the order of what they are grouped by."""

    model_config = ConfigDict(title="Usage")

    by: list[str]
    data: list[GroupShown]
    next: str | None


class AttemptShown(BaseModel):
    """One try on one target."""

    model_config = ConfigDict(title="Attempt")

    provider: str
    model: str
    outcome: str
    status: int
    ms: float
    why: str


class CallShown(BaseModel):
    """One call. `price` is in US dollars for a million tokens, as it was then."""

    model_config = ConfigDict(title="Call")

    id: str
    at: str
    key: str
    caller: str
    client: str
    route: str
    dialect: str
    model: str
    provider: str
    upstream_model: str
    attempts: list[AttemptShown]
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: float
    price: dict[str, Any]
    latency_ms: float
    first_token_ms: float | None
    revision: str
    status: int
    outcome: str
    partial: bool
    estimated: bool
    stream: bool
    tags: list[str]


class CallsShown(BaseModel):
    """Some calls, the newest first."""

    model_config = ConfigDict(title="Calls")

    data: list[CallShown]
    next: str | None


_SAME = (
    "calls", "failed", "partial", "estimated", "input_tokens", "output_tokens", "cached_input_tokens",
    "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip


def group_shown(group: UsageGroup, by: Sequence[Dimension]) -> GroupShown:
    """A group as it is shown."""
    mean = group.latency_us / group.calls / 1000 if group.calls else 0.0
    return GroupShown(
        **dict(zip(by, group.values, strict=True)), **{name: getattr(group, name) for name in _SAME},
        caller=group.caller if "key" in by else "", cost=dollars(group.cost_nano), latency_ms=round(mean, 3),
    )  # fmt: skip


_OF_CALL = (
    "id", "caller", "client", "route", "dialect", "model", "provider", "upstream_model", "input_tokens",
    "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "revision", "status", "outcome",
    "partial", "estimated", "stream",
)  # fmt: skip


def call_shown(event: UsageEvent) -> CallShown:
    """A call as it is shown."""
    first = event.first_token_us
    return CallShown(
        **{name: getattr(event, name) for name in _OF_CALL},
        at=shown(event.at) or "", key=event.key_id, attempts=[_attempt(attempt) for attempt in event.attempts],
        cost=dollars(event.cost_nano), price=dict(event.price), latency_ms=event.latency_us / 1000,
        first_token_ms=None if first is None else first / 1000, tags=list(event.tags),
    )  # fmt: skip


def _attempt(attempt: UsageAttempt) -> AttemptShown:
    return AttemptShown(
        provider=attempt.provider, model=attempt.model, outcome=attempt.outcome, status=attempt.status,
        ms=attempt.us / 1000, why=attempt.why,
    )  # fmt: skip


def table(rows: Iterable[BaseModel], columns: Sequence[str]) -> bytes:
    """The rows as CSV (RFC 4180), with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(getattr(row, column)) for column in columns])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"  # a spreadsheet would take it for a formula
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
