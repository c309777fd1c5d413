"""Conditions as written: `when` compiled to what runs.

The one rule: a condition that can never hold is a mistake and is found here, not a rule that quietly does nothing.
"""

from collections.abc import Callable
from typing import Any, Protocol

from portbroker.conversation import Json
from portbroker.fieldmap.conditions import ALWAYS, Check, Clause, Looks, When
from portbroker.fieldmap.globs import compile_glob
from portbroker.fieldmap.names import CONTEXT
from portbroker.fieldmap.paths import same
from portbroker.fieldmap.problems import Place, is_number

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "number": is_number,
    "integer": lambda v: is_number(v) and (isinstance(v, int) or v.is_integer()),
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "null": lambda v: v is None,
}


def _glob(argument: Any) -> Callable[[Any], bool]:
    test = compile_glob(argument)
    return lambda v: isinstance(v, str) and test(v)


# Operators that hold for a value; `exists` and `not_in` speak of absence too and are kept apart.
_TESTS: dict[str, Callable[[Any], Callable[[Any], bool]]] = {
    "in": lambda items: lambda v: any(same(v, item) for item in items),
    "glob": _glob,
    "gt": lambda n: lambda v: is_number(v) and v > n,
    "lt": lambda n: lambda v: is_number(v) and v < n,
    "longer_than": lambda n: lambda v: isinstance(v, (str, list)) and len(v) > n,
    "type": lambda name: lambda v: _TYPES[name](v),
}


def _is_glob(argument: Any) -> bool:
    if isinstance(argument, str):
        return True
    return isinstance(argument, list) and bool(argument) and all(isinstance(item, str) for item in argument)


_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "exists": (lambda a: isinstance(a, bool), "true or false"),
    "in": (lambda a: isinstance(a, list), "a list of values"),
    "not_in": (lambda a: isinstance(a, list), "a list of values"),
    "glob": (_is_glob, "a glob or a list of globs"),
    "gt": (is_number, "a number"),
    "lt": (is_number, "a number"),
    "longer_than": (is_number, "a number"),
    "type": (lambda a: isinstance(a, str) and a in _TYPES, f"one of {', '.join(_TYPES)}"),
}


class Names(Protocol):
    """What conditions can be about."""

    def find(self, subject: Any, at: Place) -> Looks | str | None:
        """The subject as written; None when there is no such thing, which is recorded."""

    def objection(self, subject: Looks | str, condition: Any, check: Check) -> tuple[str, str] | None:
        """Why the subject can never be like that, and a hint."""


def compile_when(when: Any, at: Place, names: Names = CONTEXT) -> When:
    """A `when` as written; what is wrong with it is recorded at its place."""
    if not isinstance(when, dict):
        at.fault("`when` is a mapping of paths to conditions")
        return ALWAYS
    clauses = []
    groups = []
    for subject, condition in when.items():
        if subject == "any":
            groups.append(_alternatives(condition, at / "any", names))
        elif (clause := _clause(subject, condition, at / str(subject), names)) is not None:
            clauses.append(clause)
    return When(tuple(clauses), tuple(groups))


def _alternatives(condition: Any, at: Place, names: Names) -> tuple[When, ...]:
    if not isinstance(condition, list) or not condition:
        at.fault("`any` is a list of at least one `when`")
        return ()
    return tuple(compile_when(when, at / number, names) for number, when in enumerate(condition))


def _clause(subject: Any, condition: Any, at: Place, names: Names) -> Clause | None:
    found = names.find(subject, at)
    check = _check(condition, at)
    if found is None or check is None:
        return None
    if objection := names.objection(found, condition, check):
        at.fault(f"can never hold: {subject} {objection[0]}", objection[1])
    return Clause(found, check)


def _check(condition: Any, at: Place) -> Check | None:
    if not isinstance(condition, dict):
        return Check(tests=(lambda value: same(value, condition),))
    if not condition:
        at.fault("an empty condition", f"known: {', '.join(_ARGUMENTS)}")
        return None
    before = len(at.problems)
    for name, argument in condition.items():
        _check_argument(name, argument, at / str(name))
    if len(at.problems) > before:
        return None
    return _possible(condition, at)


def _check_argument(name: Any, argument: Any, at: Place) -> None:
    if name not in _ARGUMENTS:
        at.unknown("condition", name, _ARGUMENTS)
    elif not _ARGUMENTS[name][0](argument):
        at.fault(f"{name} takes {_ARGUMENTS[name][1]}")


def _possible(condition: Json, at: Place) -> Check | None:
    """The check, unless no value at all could pass it."""
    tests = tuple(_TESTS[name](argument) for name, argument in condition.items() if name in _TESTS)
    excluded = tuple(condition["not_in"]) if "not_in" in condition else None
    check = Check(condition.get("exists"), tests, excluded)
    if check.exists is False and (tests or len(condition) > 1):
        at.fault("can never hold: what does not exist has no value")
    elif "in" in condition and not any(check.one(value) for value in condition["in"]):
        at.fault("can never hold: no value of `in` passes")
    elif "gt" in condition and "lt" in condition and condition["gt"] >= condition["lt"]:
        at.fault("can never hold: no number is greater than `gt` and less than `lt`")
    elif _wrong_type(condition):
        at.fault(f"can never hold: a value of type {condition['type']} does not pass the rest")
    return check


def _wrong_type(condition: Json) -> bool:
    wanted = condition.get("type")
    fits = {
        "glob": ("string",),
        "gt": ("number", "integer"),
        "lt": ("number", "integer"),
        "longer_than": ("string", "array"),
    }
    return wanted is not None and any(name in condition and wanted not in types for name, types in fits.items())
