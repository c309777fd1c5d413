"""How targets stand, as strategies see it: who rests, who is quick, and what was remembered.

The one rule: all of it is kept by name, outside of any snapshot. What was measured long ago counts for little, so that
a target which was slow once is tried again.
"""

import time
from collections.abc import Callable
from typing import Protocol

from portbroker.snapshot import Target
from portbroker.turns import Turns

NEWEST = 0.3
"""The share of the newest measurement in the average."""
HALF_LIFE = 60.0
"""Seconds after which a measurement is taken for half of what it was."""
TARGETS = 4096


class Standing(Protocol):
    """What strategies read of targets, and what they remember."""

    turns: Turns

    def resting(self, target: Target) -> float:
        """Seconds until the target may be called again; 0 for one that may."""

    def latency(self, target: Target) -> float | None:
        """Seconds that the target takes to its first token, of late; None for one that has not been tried."""


class Latencies:
    """Averages of the time to the first token. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measured: dict[str, tuple[float, float]] = {}  # the one that was measured last is the last

    def heard(self, target: Target, seconds: float) -> None:
        """A target took so long to its first token."""
        before = self._measured.pop(target.name, None)
        average = seconds if before is None else before[0] + NEWEST * (seconds - before[0])
        self._measured[target.name] = (average, self._clock())
        if len(self._measured) > TARGETS:
            del self._measured[next(iter(self._measured))]

    def of(self, target: Target) -> float | None:
        """The average, less the longer it was measured ago; None for a target that was not."""
        measured = self._measured.get(target.name)
        return measured[0] * 0.5 ** ((self._clock() - measured[1]) / HALF_LIFE) if measured else None


class Undisturbed:
    """A standing in which nobody rests and nothing was measured: that of a gateway which has just started."""

    def __init__(self) -> None:
        self.turns = Turns()

    def resting(self, _: Target) -> float:
        return 0.0

    def latency(self, _: Target) -> float | None:
        return None
