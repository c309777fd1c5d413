"""Numbers that add up: what was counted, by the few words that tell series apart.

The one rule: series are bounded, whatever names there are; what comes too late is counted under `other`.
"""

from collections.abc import Iterator
from typing import TypeAlias

from portbroker.conversation import Json

Key: TypeAlias = tuple[str | int, ...]

MOST_SERIES = 1000
"""Series of one name."""
MOST_REVISIONS = 50
"""Revisions that are told apart; of more, the first is forgotten."""
OTHER = "other"

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""The upper ends of the classes of a duration; there is one more, for all that is longer."""
WIDTH = 2 + len(SECONDS) + 1
"""Numbers of a duration: how many there were, their sum, and those of each class."""
TOKENS = ("input", "output", "cached_input", "cache_write", "reasoning")

NAMES = {"calls": WIDTH, "attempts": 1, "answers": len(TOKENS) + WIDTH, "revisions": 2}
"""What is counted, and by how many numbers: calls by route and status; attempts by provider, model and outcome; answers
by provider and model, their tokens and the time to the first; calls of each revision, and how many of them failed."""


class Counts:
    """Series of each of `NAMES`: the words of one -> its numbers."""

    __slots__ = tuple(NAMES)
    calls: dict[Key, list[float]]
    attempts: dict[Key, list[float]]
    answers: dict[Key, list[float]]
    revisions: dict[Key, list[float]]

    def __init__(self) -> None:
        for name in NAMES:
            setattr(self, name, {})

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in NAMES)

    def series(self, name: str, key: Key) -> list[float]:
        """The numbers of a series, which may be added to."""
        every: dict[Key, list[float]] = getattr(self, name)
        numbers = every.get(key)
        if numbers is None:
            if name == "revisions" and len(every) >= MOST_REVISIONS:
                del every[next(iter(every))]
            elif len(every) >= MOST_SERIES:
                key = _other(name, key)
            numbers = every.setdefault(key, [0.0] * NAMES[name])
        return numbers

    def add(self, name: str, key: Key, more: list[float]) -> None:
        """Add to the numbers of a series."""
        numbers = self.series(name, key)
        for at, number in enumerate(more):
            numbers[at] += number

    def __iter__(self) -> Iterator[tuple[str, Key, list[float]]]:
        for name in NAMES:
            for key, numbers in getattr(self, name).items():
                yield name, key, numbers

    def merge(self, other: "Counts") -> None:
        """Add all of another."""
        for name, key, numbers in other:
            self.add(name, key, numbers)

    def record(self) -> Json:
        """The same as JSON can hold it."""
        return {name: [[*key, *numbers] for key, numbers in getattr(self, name).items()] for name in NAMES}

    @classmethod
    def of(cls, record: Json) -> "Counts":
        """Raises ValueError, TypeError, KeyError or AttributeError for what is none."""
        counts = cls()
        for name, width in NAMES.items():
            for row in record[name]:
                counts.add(name, tuple(row[:-width]), [float(number) for number in row[-width:]])
        return counts


def _other(name: str, key: Key) -> Key:
    """The series of all that come too late; how a call or an attempt ended is told all the same."""
    return (*(OTHER for _ in key[:-1]), key[-1]) if name in ("calls", "attempts") else (OTHER,) * len(key)
