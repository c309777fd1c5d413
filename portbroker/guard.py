"""A new revision on trial: whether many more calls fail under it than under the one before.

The one rule: pure; who asks has the counts and the clock.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from portbroker.config.reloading import GuardConfig

Configuration = TypeVar("Configuration")


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls there were, and how many of them failed."""

    number: int
    failed: int

    @property
    def rate(self) -> float:
        return self.failed / self.number if self.number else 0.0

    def __str__(self) -> str:
        return f"{self.rate:.0%} of {self.number} calls"


@dataclass(frozen=True, slots=True)
class Trial(Generic[Configuration]):
    """A revision on trial since `began`, in seconds of some clock; `before` is what to return to, and how it went."""

    revision: str
    before: Configuration = field(repr=False)
    went: Calls
    guard: GuardConfig
    began: float

    @property
    def ends(self) -> float:
        return self.began + self.guard.window

    def passed(self, calls: Calls) -> bool:
        """Whether these calls are enough to say that nothing is wrong with the revision."""
        return calls.number >= self.guard.min_calls and not self.fault(calls)

    def fault(self, calls: Calls) -> str:
        """Why the revision must be returned from, after these calls; "" when it need not be."""
        guard = self.guard
        if calls.number < guard.min_calls or calls.rate - self.went.rate <= guard.max_error_rate_increase:
            return ""
        return f"{calls} failed, {self.went} before"
