"""The words for what is done about failures: `retry`, `breaker`, `limits`, `health_check`, `hedge`, several keys.

The one rule: the defaults are those of `portbroker.policy`, so that a file which says nothing gets the same.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from portbroker.config.fields import Count, Int, Name, Seconds, Secret, Section, UrlPath
from portbroker.policy import Breaker, Retry

_RETRY, _BREAKER = Retry(), Breaker()
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
_P95 = Annotated[
    Literal["p95"],
    WithJsonSchema({"type": "string", "pattern": "^p95$", "patternErrorMessage": "must be p95 or a duration"}),
]


class BackoffConfig(Section):
    """The wait before the same target is tried again: a random part of `first`, then of twice as much, up to `most`."""

    model_config = ConfigDict(title="Backoff")

    first: Seconds = Field(_RETRY.first_backoff, examples=["100ms"])
    """The longest first wait."""
    most: Seconds = Field(_RETRY.most_backoff, examples=["5s"])
    """The longest wait of all."""


class BudgetConfig(Section):
    """How many attempts may be made, in ten seconds, that could only add to somebody's trouble."""

    model_config = ConfigDict(title="Retry budget")

    share: Share = Field(_RETRY.budget_share, examples=[0.2])
    """As a share of the calls."""
    least: Int = Field(_RETRY.budget_least, ge=0, examples=[10])
    """So many in any case, for when there are few calls."""


class RetryConfig(Section):
    """How a call is tried again, as long as nothing of an answer has gone to its client."""

    model_config = ConfigDict(title="Retry")

    attempts: Count = Field(_RETRY.attempts, le=100, examples=[4])
    """The most attempts of one call, on all targets together."""
    same_target: Int = Field(_RETRY.same_target, ge=0, le=100, examples=[1])
    """How often the same target is tried again, when no other one is left."""
    backoff: BackoffConfig = BackoffConfig()
    """How long to wait before that."""
    budget: BudgetConfig = BudgetConfig()
    """How much of that there may be, so that an outage is not multiplied."""
    retry_after_cap: Seconds = Field(_RETRY.retry_after_cap, examples=["30s"])
    """The longest Retry-After that a call waits for. For a longer one the target rests, and the call goes elsewhere."""
    wait: Seconds = Field(_RETRY.wait, examples=["10s"])
    """The longest that one call waits in all: for targets to end their rest, in queues, and before trying again."""


class BreakerConfig(Section):
    """When a provider that fails is left alone, and for how long."""

    model_config = ConfigDict(title="Breaker")

    failures: Count = Field(_BREAKER.failures, examples=[5])
    """So many failures in a row are enough."""
    error_rate: Share = Field(_BREAKER.error_rate, examples=[0.5])
    """Or such a share of the calls within the window."""
    least_calls: Count = Field(_BREAKER.least_calls, examples=[20])
    """As long as the window holds fewer calls, their share says nothing."""
    window: Seconds = Field(_BREAKER.window, examples=["30s"])
    """The seconds that are looked at."""
    cool_down: Seconds = Field(_BREAKER.cool_down, examples=["1s"])
    """The longest first rest. A random part of it is taken, so that many gateways do not come back at one moment."""
    longest: Seconds = Field(_BREAKER.longest, examples=["2m"])
    """The longest rest of all: each rest in a row may be twice as long as the one before."""


class QuotaConfig(Section):
    """What may be asked at once and in a minute."""

    model_config = ConfigDict(title="Quota")

    concurrency: Count | None = Field(None, examples=[8])
    """Calls at once."""
    requests_per_minute: Count | None = Field(None, examples=[500])
    """Requests in a minute."""
    tokens_per_minute: Count | None = Field(None, examples=[200000])
    """Input and output tokens in a minute: estimated when a call begins, put right when it ends."""


class LimitsConfig(QuotaConfig):
    """What a provider may be asked, so that its own limits are kept, not met. Further calls go to the next target."""

    model_config = ConfigDict(title="Limits")

    queue: Int = Field(0, ge=0, examples=[32])
    """Calls that may wait for one of `concurrency` to end, first come, first served."""
    per_key: QuotaConfig = Field(QuotaConfig(), examples=[{"requests_per_minute": 60}])
    """What each key may be asked."""


class HealthCheckConfig(Section):
    """Probes that find out whether a provider is well without a call. Without this, calls alone find out."""

    model_config = ConfigDict(title="Health check")

    interval: Seconds = Field(30.0, examples=["30s"])
    """From one probe to the next."""
    timeout: Seconds = Field(5.0, examples=["5s"])
    """How long a probe may take."""
    path: UrlPath | None = Field(None, examples=["/models", "/health"])
    """What to GET, after the `base_url`. Any answer below 500 is a good one."""
    model: Name | None = Field(None, examples=["gpt-5-mini"])
    """The model to ask for one token instead."""


class HedgeConfig(Section):
    """A second target is started when the first is slow to speak; the first to speak is kept, the other is closed."""

    model_config = ConfigDict(title="Hedge")

    after: _P95 | Seconds = Field(examples=["2s", "p95"])
    """After so long, or when the first is slower than 95 of 100 of its last calls were."""


class KeyConfig(Section):
    """One of several credentials."""

    model_config = ConfigDict(title="Key")

    name: Name | None = Field(None, examples=["team-a"])
    """What logs call it; its number when left out."""
    key: Secret | None = Field(None, examples=["{{ env.OPENAI_API_KEY }}"])
    """The credential, best as a template. One whose variable is not set is left out, and that is said."""


def _key(value: Any) -> Any:
    """A key without a name, or nothing, where its variable is not set."""
    return {"key": value} if value is None or isinstance(value, str) else value


Keys = tuple[Annotated[KeyConfig, BeforeValidator(_key, json_schema_input_type=Secret | KeyConfig | None)], ...]
"""Several credentials of one provider."""
