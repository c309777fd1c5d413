"""What is wrong with a field map, and where in it: collected, so that one look shows every mistake.

The one rule: places are tuples of keys and indices, so that whoever knows the file can turn them into lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeGuard

from portbroker.errors import PortBrokerError


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One mistake. `where` leads to it from the document that was compiled: `("request", 2, "clamp", "path")`."""

    where: tuple[str | int, ...]
    message: str
    hint: str = ""

    @property
    def path(self) -> str:
        """The place as a person writes it: `request[2].clamp.path`."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.where)
        return text.removeprefix(".")

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class RulesError(PortBrokerError):
    """Rules that must not be used, with every problem found in them."""

    def __init__(self, problems: list[RuleProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Place:
    """A place in the document under compilation, and the list that its problems are collected in."""

    __slots__ = ("problems", "where")

    def __init__(self, problems: list[RuleProblem], where: tuple[str | int, ...] = ()) -> None:
        self.problems = problems
        self.where = where

    def __truediv__(self, step: str | int) -> "Place":
        """The place one key or index further in."""
        return Place(self.problems, (*self.where, step))

    def fault(self, message: str, hint: str = "") -> None:
        """Record that something here is wrong."""
        self.problems.append(RuleProblem(self.where, message, hint))

    def unknown(self, what: str, word: object, known: Iterable[str]) -> None:
        """Record a word that nobody knows, with the nearest one that is known."""
        self.fault(f"unknown {what} {word!r}", nearest(str(word), known))


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the known word that is most like this one, or with all of them when none is like it."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if 0 < len(known) <= 40 else ""


def refuse(problems: list[RuleProblem]) -> None:
    """Raise what was found, if anything was."""
    if problems:
        raise RulesError(problems)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; truth values are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
