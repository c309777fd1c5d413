"""How many calls each revision has answered lately, and how many of them failed.

The one rule: only the last hour is known, by the second.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 3600
"""Seconds that are remembered."""


@dataclass(slots=True)
class _Second:
    at: int
    revision: str
    calls: float = 0.0
    failed: float = 0.0


class Tally:
    """Calls by revision and second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque()

    def add(self, revision: str, calls: float, failed: float) -> None:
        """So many calls more, now."""
        now = int(self._clock())
        last = next((s for s in reversed(self._seconds) if s.at == now and s.revision == revision), None)
        if last is None:
            last = _Second(now, revision)
            self._seconds.append(last)
            while self._seconds[0].at < now - LONGEST:
                self._seconds.popleft()
        last.calls += calls
        last.failed += failed

    def since(self, revision: str, seconds: float) -> tuple[int, int]:
        """The calls of a revision in the last seconds, and how many of them failed."""
        begin = int(self._clock() - seconds)
        recent = [s for s in self._seconds if s.at >= begin and s.revision == revision]
        return int(sum(s.calls for s in recent)), int(sum(s.failed for s in recent))
