"""The words of the YAML for how the file itself is followed.

The one rule: what stands here holds for the revision that says it.
"""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, Strict

from portbroker.config.fields import Count, Seconds, Section

_LONGEST = 3600.0


def _bounded(value: float) -> float:
    if value > _LONGEST:
        raise ValueError("must be an hour at most")
    return value


Rise = Annotated[float, Strict(), Field(gt=0, le=1)]


class GuardConfig(Section):
    """When a revision that can be served, and harms callers, is returned from."""

    model_config = ConfigDict(title="Guard")

    window: Annotated[Seconds, AfterValidator(_bounded)] = Field(120.0, examples=["2m"])
    """So long a new revision is looked at, and so long before it the one that it replaces. An hour at most."""
    min_calls: Count = Field(20, examples=[20])
    """As long as it has answered fewer calls, nothing is said of it."""
    max_error_rate_increase: Rise = Field(0.2, examples=[0.2])
    """So much larger a share of calls may fail than before: with 0.2, 21 % when there was 1 %."""


class ReloadConfig(Section):
    """How a change of this file takes effect."""

    model_config = ConfigDict(title="Reload")

    guard: GuardConfig | None = Field(None, examples=[{"window": "2m"}])
    """When a new revision is returned from because more calls fail than before. Left out: never."""
