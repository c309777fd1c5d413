"""What is done about failures: the words of the file as the values that calls go by.

The one rule: no decision; what is left out is as it stands one level up.
"""

from portbroker.compile.faults import Faults
from portbroker.config.model import ProviderConfig
from portbroker.config.reliability import (
    BreakerConfig,
    HealthCheckConfig,
    HedgeConfig,
    LimitsConfig,
    QuotaConfig,
    RetryConfig,
)
from portbroker.policy import Breaker, HealthCheck, Hedge, Limits, Quota, Retry


def compile_retry(config: RetryConfig) -> Retry:
    """How calls are tried again."""
    return Retry(
        attempts=config.attempts,
        same_target=config.same_target,
        first_backoff=config.backoff.first,
        most_backoff=config.backoff.most,
        budget_share=config.budget.share,
        budget_least=config.budget.least,
        retry_after_cap=config.retry_after_cap,
        wait=config.wait,
    )


def compile_breaker(general: BreakerConfig, own: BreakerConfig | None) -> Breaker:
    """When a provider is left alone: its own words, over those of the file."""
    words = general.model_dump() | (own.model_dump(exclude_unset=True) if own else {})
    return Breaker(**words)


def compile_limits(config: LimitsConfig | None) -> Limits | None:
    """What a provider may be asked; None for one without limits."""
    return Limits(_quota(config, config.queue), _quota(config.per_key)) if config is not None else None


def _quota(config: QuotaConfig, queue: int = 0) -> Quota:
    return Quota(config.concurrency, queue, config.requests_per_minute, config.tokens_per_minute)


def check_health_check(index: int, config: ProviderConfig, faults: Faults) -> None:
    """It must say how to probe, in one way."""
    check = config.health_check
    if check is not None and (check.path is None) == (check.model is None):
        faults.add(("providers", index, "health_check"), "a health check needs either `path` or `model`",
                   "path: /models asks for the list of models and costs nothing")  # fmt: skip


def compile_health_check(config: HealthCheckConfig | None) -> HealthCheck | None:
    """How a provider is probed; None for one that is not."""
    return HealthCheck(config.interval, config.timeout, config.path, config.model) if config is not None else None


def compile_hedge(config: HedgeConfig | None) -> Hedge | None:
    """When a second target is started; None: never."""
    if config is None:
        return None
    return Hedge(None if config.after == "p95" else config.after)
