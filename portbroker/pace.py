"""How long targets took to speak, one by one, for rules that ask what is slow. The one rule: by name, and bounded."""

from collections import OrderedDict, deque

TARGETS = 1024
_REMEMBERED = 64
_FEW = 10


class Pace:
    """The last times to the first content of each target, streams and whole answers apart."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, bool], deque[float]] = OrderedDict()

    def add(self, target: str, stream: bool, seconds: float) -> None:
        """One more call."""
        key = (target, stream)
        self._times.setdefault(key, deque(maxlen=_REMEMBERED)).append(seconds)
        self._times.move_to_end(key)
        if len(self._times) > TARGETS:
            self._times.popitem(last=False)

    def slow(self, target: str, stream: bool) -> float | None:
        """What 95 of 100 calls stay under; None when too few are known."""
        times = self._times.get((target, stream), ())
        return sorted(times)[int(len(times) * 0.95)] if len(times) >= _FEW else None
