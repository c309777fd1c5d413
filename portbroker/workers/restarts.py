"""How long a worker that died is waited with. The one rule: pure; who calls has the clock."""

SETTLED = 10.0
"""Seconds after which the end of a worker is no failure to start."""
_FIRST = 0.1
_LONGEST = 10.0


class Restarts:
    """The workers that served in one place, one after the other. `failures` counts those that died young, in a row."""

    def __init__(self) -> None:
        self.failures = 0

    def after(self, lived: float) -> float:
        """Seconds to wait before the next one starts, when the last one lived so many."""
        self.failures = 1 if lived >= SETTLED else self.failures + 1
        return float(min(_LONGEST, _FIRST * 2 ** min(self.failures - 1, 16)))
