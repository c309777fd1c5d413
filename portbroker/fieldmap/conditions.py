"""Conditions as they run: tests of one document, folded to a constant where what they ask is already known.

The one rule: a condition cannot fail; what is not there or of another type does not pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.paths import same
from portbroker.fieldmap.segments import MISSING

Known: TypeAlias = Mapping[str, Any]
"""What is known of a context while rules are bound: its names without `ctx.`, options as `options.NAME`."""

Test: TypeAlias = Callable[[Any, RuleContext], bool]


class Looks(Protocol):
    """What finds values in a document: a path, or one fact of a call. `many`: there may be several."""

    @property
    def many(self) -> bool: ...
    def get(self, document: Any) -> Any:
        """The (first) value, or `MISSING`."""

    def all(self, document: Any) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Check:
    """What one subject must be like."""

    exists: bool | None = None
    tests: tuple[Callable[[Any], bool], ...] = ()
    excluded: tuple[Any, ...] | None = None

    def one(self, value: Any) -> bool:
        """Whether a value passes; `MISSING` passes only where absence is all that is asked for."""
        if value is MISSING:
            return self.exists is not True and not self.tests and (self.exists is False or self.excluded is not None)
        return self.exists is not False and self._allowed(value) and all(test(value) for test in self.tests)

    def some(self, values: list[Any]) -> bool:
        """Whether one of several values passes and none of them is excluded."""
        if not values:
            return self.one(MISSING)
        if self.exists is False or not all(map(self._allowed, values)):
            return False
        return not self.tests or any(all(test(value) for test in self.tests) for value in values)

    def _allowed(self, value: Any) -> bool:
        return self.excluded is None or not any(same(value, item) for item in self.excluded)


@dataclass(frozen=True, slots=True)
class Clause:
    """One subject and its check. The subject looks into the document, or is the name of what a context holds."""

    subject: Looks | str
    check: Check

    def fold(self, known: Known) -> bool | Test:
        """The constant that this is, given what is known, or the test that is left."""
        if not isinstance(self.subject, str):
            return self._of_document(self.subject)
        if self.subject in known:
            return self.check.one(known[self.subject])
        return self._of_context(self.subject)

    def _of_document(self, looks: Looks) -> Test:
        check, read = (self.check.some, looks.all) if looks.many else (self.check.one, looks.get)
        return lambda document, _: check(read(document))

    def _of_context(self, name: str) -> Test:
        one, option = self.check.one, name.removeprefix("options.")
        if option != name:
            return lambda _, context: one(context.options.get(option, MISSING))
        return lambda _, context: one(getattr(context, name))


@dataclass(frozen=True, slots=True)
class When:
    """All clauses hold, and of each group of alternatives one."""

    clauses: tuple[Clause, ...] = ()
    groups: tuple[tuple["When", ...], ...] = ()

    def fold(self, known: Known) -> bool | Test:
        """The constant that this is, given what is known, or the test that is left."""
        parts = [clause.fold(known) for clause in self.clauses]
        parts += [_either([when.fold(known) for when in group]) for group in self.groups]
        if any(part is False for part in parts):
            return False
        return _both([part for part in parts if not isinstance(part, bool)])


ALWAYS = When()


def _both(tests: list[Test]) -> bool | Test:
    if len(tests) < 2:
        return tests[0] if tests else True
    if len(tests) == 2:
        first, second = tests
        return lambda document, context: first(document, context) and second(document, context)
    return lambda document, context: all(test(document, context) for test in tests)


def _either(parts: list[bool | Test]) -> bool | Test:
    if any(part is True for part in parts):
        return True
    tests = [part for part in parts if not isinstance(part, bool)]
    if not tests:
        return False
    return lambda document, context: any(test(document, context) for test in tests)
