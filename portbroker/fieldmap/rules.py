"""Rules: a list of them as written, compiled once, and bound to what is known of a target.

The one rule: compiling finds every mistake; binding and running cannot fail.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from portbroker.conversation import AdaptationCode, Json, Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.actions import Action, Apply
from portbroker.fieldmap.conditions import ALWAYS, Known, Test, When
from portbroker.fieldmap.names import CONTEXT
from portbroker.fieldmap.operations import OPERATIONS
from portbroker.fieldmap.problems import Place, RuleProblem, refuse
from portbroker.fieldmap.when import Names, compile_when

_COMMON = ("id", "disable", "when", "report")

Step: TypeAlias = tuple[frozenset[str], Test | None, tuple[tuple[Apply, AdaptationCode | None, str | None], ...]]
"""The keys of which a document must have one (empty: whatever it has), the condition, what is done."""


class Rules:
    """What a list of rules does to a document. False when it does nothing to any."""

    __slots__ = ("_able", "_steps")

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = tuple(steps)
        self._able: dict[tuple[str, ...], tuple[int, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, body: Json, context: RuleContext, report: Report) -> Json:
        """The document after every rule, in order; the one that was given stays as it is."""
        if not self._steps:
            return body
        keys = tuple(body)
        able = self._able.get(keys)
        for number in self._look_for(keys) if able is None else able:
            new = _run(self._steps[number], body, context, report)
            if new is not body:
                return self._rest(number + 1, new, context, report)
        return body

    def _look_for(self, keys: tuple[str, ...]) -> tuple[int, ...]:
        """Which steps can do something to a document of these keys; most are about keys that most calls do not have."""
        able = tuple(n for n, (needs, _, _) in enumerate(self._steps) if not needs or not needs.isdisjoint(keys))
        if len(self._able) == _REMEMBERED:
            self._able.clear()  # callers choose their keys: nothing may grow with what they choose
        if sum(map(len, keys)) <= _LONGEST:
            self._able[keys] = able
        return able

    def _rest(self, start: int, body: Json, context: RuleContext, report: Report) -> Json:
        """The document after the steps from here on: its keys may be others now."""
        for step in self._steps[start:]:
            if not step[0] or not step[0].isdisjoint(body):
                body = _run(step, body, context, report)
        return body


_REMEMBERED = 128
_LONGEST = 1024
"""Characters of all keys of a document whose steps are remembered."""


def _run(step: Step, body: Json, context: RuleContext, report: Report) -> Json:
    _, test, actions = step
    if test is not None and not test(body, context):
        return body
    for apply, code, path in actions:
        new = apply(body, context)
        if new is not body:
            if code is not None:
                _report(code, path, body, new, report)
            body = new
    return body


class Traced(Rules):
    """The same, telling `note` of each rule that has something to do with a document."""

    __slots__ = ("_alone", "_note")

    def __init__(self, rules: Iterable["Rule"], known: Known, note: Callable[["Rule"], None]) -> None:
        bound = [(rule, step) for rule in rules if not rule.disable and (step := rule.bind(known)) is not None]
        super().__init__(step for _, step in bound)
        self._alone = [(rule, step, Rules([step])) for rule, step in bound]
        self._note = note

    def __call__(self, body: Json, context: RuleContext, report: Report) -> Json:
        for rule, (needs, test, _), alone in self._alone:
            if (not needs or not needs.isdisjoint(body)) and (test is None or test(body, context)):
                self._note(rule)
            body = alone(body, context, report)
        return body


def _report(code: AdaptationCode, path: str | None, old: Json, new: Json, report: Report) -> None:
    if path is not None:
        report.add(code, path)
        return
    for key in old:
        if key not in new:
            report.add(code, key)


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule. `disable` takes the rule of the same id out of the list that this one is laid over."""

    id: str | None
    when: When
    actions: tuple[Action, ...]
    report: bool = False
    disable: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)
    """The rule as written, for whoever shows it."""

    def bind(self, known: Known) -> Step | None:
        """What is left to do for each document, or None when this rule cannot apply."""
        test = self.when.fold(known)
        if test is False:
            return None
        actions = [action.bound(known) for action in self.actions]
        needs = [action.needs for action in actions]
        return (
            frozenset() if None in needs else frozenset(filter(None, needs)),
            None if test is True else test,
            tuple((a.apply, a.code if self.report else None, a.path) for a in actions),
        )


def compile_list(rules: Any, at: Place, names: Names = CONTEXT) -> tuple[Rule, ...]:
    """Rules as written, each compiled; those with mistakes are left out and recorded.

    `names` is what `ctx.` offers where these rules run.
    """
    if not isinstance(rules, (list, tuple)):
        at.fault("takes a list of rules")
        return ()
    seen: set[str] = set()
    compiled = []
    for number, source in enumerate(rules):
        rule = _compile_rule(source, at / number, names)
        if rule is None:
            continue
        if rule.id is not None and rule.id in seen:
            (at / number / "id").fault(f"the id {rule.id!r} is used twice in one list")
        seen.add(rule.id or "")
        compiled.append(rule)
    return tuple(compiled)


def _compile_rule(source: Any, at: Place, names: Names) -> Rule | None:
    if not isinstance(source, dict):
        at.fault("a rule is a mapping with one operation")
        return None
    before = len(at.problems)
    name = source.get("id")
    if "id" in source and (not isinstance(name, str) or not name):
        (at / "id").fault("an id is text")
    flags = {key: source.get(key, False) for key in ("disable", "report")}
    for key, value in flags.items():
        if not isinstance(value, bool):
            (at / key).fault("takes true or false")
    when = compile_when(source["when"], at / "when", names) if "when" in source else ALWAYS
    actions = _operation(source, at)
    if len(at.problems) > before:
        return None
    return Rule(name, when, tuple(actions), flags["report"], flags["disable"], source)


def _operation(source: Json, at: Place) -> list[Action]:
    words = [key for key in source if key not in _COMMON]
    for key in words:
        if key not in OPERATIONS:
            (at / str(key)).unknown("operation", key, (*OPERATIONS, *_COMMON))
    if any(key not in OPERATIONS for key in words):
        return []
    if len(words) > 1:
        at.fault(f"a rule does one thing; this one has {', '.join(words)}")
    elif words:
        return OPERATIONS[words[0]](source[words[0]], at / words[0])
    elif source.get("disable") is not True:
        at.fault("a rule needs an operation", f"known: {', '.join(OPERATIONS)}")
    elif "id" not in source:
        at.fault("`disable` needs the `id` of the rule to disable")
    return []


class Named(Protocol):
    """What can be laid over by its id."""

    @property
    def id(self) -> str | None: ...
    @property
    def disable(self) -> bool: ...


AnyRule = TypeVar("AnyRule", bound=Named)


def overlay(lists: Iterable[Sequence[AnyRule]]) -> tuple[AnyRule, ...]:
    """Several lists as one: a later rule replaces the earlier one with its id in place, `disable` removes it."""
    merged: list[AnyRule] = []
    for rules in lists:
        places = {rule.id: place for place, rule in enumerate(merged) if rule.id is not None}
        for rule in rules:
            if rule.id in places:
                merged[places[rule.id]] = rule
            else:
                merged.append(rule)
    return tuple(rule for rule in merged if not rule.disable)


def bind_rules(rules: Iterable[Rule], known: Known) -> Rules:
    """The rules as one function, without those that cannot apply given what is known."""
    return Rules(_steps(rules, known))


def _steps(rules: Iterable[Rule], known: Known) -> Iterator[Step]:
    for rule in rules:
        if not rule.disable and (step := rule.bind(known)) is not None:
            yield step


def compile_rules(rules: Sequence[Mapping[str, Any]], hook: str = "request", known: Known | None = None) -> Rules:
    """One list of rules as one function; raises `RulesError` with every problem. `known` is folded in."""
    problems: list[RuleProblem] = []
    compiled = compile_list(rules, Place(problems, (hook,)))
    refuse(problems)
    return bind_rules(compiled, known or {})
