"""`when` of a model rule: conditions on the call itself, in the grammar of field maps.

The one rule: a condition that can never hold is a mistake, and is found here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portbroker.config.call_words import FAMILIES, KIND_NAMES, WORDS, Kind, Word
from portbroker.facts import reader
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.conditions import Check, Looks
from portbroker.fieldmap.names import none_of
from portbroker.fieldmap.problems import Place, RuleProblem, RulesError, is_number
from portbroker.fieldmap.when import compile_when
from portbroker.resolution import Condition

_NO_CONTEXT = RuleContext()
_COMPARISONS: Mapping[Kind, frozenset[str]] = {
    "number": frozenset({"exists", "in", "not_in", "gt", "lt", "type"}),
    "flag": frozenset({"exists", "in", "not_in", "type"}),
    "text": frozenset({"exists", "in", "not_in", "glob", "longer_than", "type"}),
}
"""Those that a value of a kind can pass."""


class _Fact:
    """One fact of a call, as conditions look at it."""

    many = False

    def __init__(self, word: str, meaning: Word) -> None:
        read = reader(word)
        assert read is not None
        self.get = read
        self.meaning = meaning

    def all(self, document: Any) -> list[Any]:
        """What several values would be; a fact is one."""
        return [self.get(document)]


@dataclass(slots=True)
class _Words:
    """The words of a call, and those that were used."""

    used: dict[str, None]

    def find(self, subject: Any, at: Place) -> Looks | None:
        word = str(subject)
        family, dot, name = word.partition(".")
        meaning = FAMILIES.get(family) if dot and name else WORDS.get(word)
        if meaning is None:
            known = [*WORDS, *(f"{family}.NAME" for family in FAMILIES)]
            at.unknown("word", subject, [f"{family}.NAME"] if family in FAMILIES else known)
            return None
        self.used[word] = None
        return _Fact(word, meaning)

    def objection(self, subject: Looks | str, condition: Any, check: Check) -> tuple[str, str] | None:
        assert isinstance(subject, _Fact)
        meaning = subject.meaning
        if meaning.values is not None:
            return none_of(meaning.values, condition, check)
        wrong = _wrong_kind(meaning.kind, condition)
        return (f"is {KIND_NAMES[meaning.kind]}", wrong) if wrong else None


def _wrong_kind(kind: Kind, condition: Any) -> str:
    """What no value of a kind could pass, as a hint."""
    if not isinstance(condition, dict):
        fits = is_number(condition) if kind == "number" else isinstance(condition, str)
        return "" if fits else f"compare it with {KIND_NAMES[kind]}"
    wrong = [name for name in condition if name not in _COMPARISONS[kind]]
    return f"`{wrong[0]}` is not for {KIND_NAMES[kind]}" if wrong else ""


def compile_condition(when: Mapping[str, Any]) -> Condition | None:
    """A rule's `when`; None for an empty one. Raises `RulesError`, its places counted from the `when`."""
    if not when:
        return None
    problems: list[RuleProblem] = []
    words = _Words({})
    test = compile_when(dict(when), Place(problems), words).fold({})
    if problems:
        raise RulesError(problems)
    sees = {word: read for word in words.used if (read := reader(word)) is not None}
    if isinstance(test, bool):
        return Condition(lambda _: test, sees, written(when))
    return Condition(lambda facts: test(facts, _NO_CONTEXT), sees, written(when))


def written(value: Any) -> str:
    """A condition in one line, as YAML writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return str(value)
