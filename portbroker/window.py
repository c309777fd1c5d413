"""Counts over the last seconds. The one rule: the time is handed in, and adding costs next to nothing."""

_SLOTS = 10


class Window:
    """Two counts over the last `length` seconds, forgotten a tenth of it at a time."""

    __slots__ = ("_current", "_length", "_slots")

    def __init__(self, length: float) -> None:
        self._length = length
        self._current = -1
        self._slots: list[list[int]] = []  # [number of the slot, first count, second count], the oldest first

    def add(self, now: float, first: int = 0, second: int = 0) -> None:
        """Count."""
        number = int(now * _SLOTS / self._length)
        if number != self._current:
            self._current = number
            self._forget(number)
            self._slots.append([number, 0, 0])
        slot = self._slots[-1]
        slot[1] += first
        slot[2] += second

    def sums(self, now: float) -> tuple[int, int]:
        """Both counts."""
        self._forget(int(now * _SLOTS / self._length))
        return sum(slot[1] for slot in self._slots), sum(slot[2] for slot in self._slots)

    def clear(self) -> None:
        self._slots.clear()
        self._current = -1

    def _forget(self, number: int) -> None:
        while self._slots and self._slots[0][0] <= number - _SLOTS:
            self._slots.pop(0)
        if not self._slots:
            self._current = -1
