"""Classes of errors: the `errors` rules of a field map as one function of a provider's document and status.

The one rule: the first rule that holds decides. Documents come from a provider and may be anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portbroker.config.model import ErrorRule
from portbroker.errors import KINDS, Kind
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.arguments import Text, template
from portbroker.fieldmap.conditions import ALWAYS, Known, Test, When
from portbroker.fieldmap.names import ERRORS
from portbroker.fieldmap.problems import Place
from portbroker.fieldmap.when import compile_when

Verdict: TypeAlias = tuple[Kind, str | None]
"""The class of an error and what is to be said of it; None leaves the provider's own words."""


@dataclass(frozen=True, slots=True)
class CompiledError:
    """One compiled rule."""

    id: str | None
    when: When
    kind: Kind
    message: Text | None = None
    disable: bool = False
    source: dict[str, Any] = field(default_factory=dict)


class Classifier:
    """What a provider's own rules say of an answer. False when they say nothing of any."""

    __slots__ = ("_model", "_ok", "_provider", "_rules")

    def __init__(self, rules: Iterable[CompiledError], known: Known) -> None:
        folded = ((rule.when.fold(known), rule.kind, rule.message) for rule in rules)
        self._rules = tuple((test, kind, message) for test, kind, message in folded if test is not False)
        self._model, self._provider = str(known.get("model", "")), str(known.get("provider", ""))
        self._ok = self._context(200)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __call__(self, document: Any, status: int) -> Verdict | None:
        """The class of this document, or None when no rule holds. A list stands for its first item, as Google sends."""
        if isinstance(document, list) and document:
            document = document[0]
        context = self._ok if status == 200 else self._context(status)
        for test, kind, message in self._rules:
            if _holds(test, document, context):
                return kind, (message(document, context) or None) if message is not None else None
        return None

    def _context(self, status: int) -> RuleContext:
        return RuleContext(model=self._model, provider=self._provider, status=status)


def _holds(test: bool | Test, document: Any, context: RuleContext) -> bool:
    return test if isinstance(test, bool) else test(document, context)


def compile_errors(rules: Iterable[ErrorRule], at: Place) -> tuple[CompiledError, ...]:
    """`errors` as written; what is wrong is recorded, a rule that can never be reached included."""
    compiled: list[CompiledError] = []
    for number, rule in enumerate(rules):
        place = at / number
        if rule.id is not None and rule.id in {earlier.id for earlier in compiled}:
            (place / "id").fault(f"the id {rule.id!r} is used twice in one list")
        if any(earlier.when is ALWAYS and not earlier.disable for earlier in compiled):
            place.fault("can never be reached: an earlier rule has no `when` and always holds")
        compiled.append(_compile_error(rule, place))
    return tuple(compiled)


def _compile_error(rule: ErrorRule, at: Place) -> CompiledError:
    if rule.disable and rule.id is None:
        at.fault("`disable` needs the `id` of the rule to disable")
    if rule.class_ not in KINDS:
        (at / "class").unknown("class", rule.class_, KINDS)
    when = compile_when(rule.when, at / "when", ERRORS) if rule.when else ALWAYS
    text = template(rule.message, at / "message", ("model", "provider")) if rule.message is not None else None
    source = rule.model_dump(by_alias=True, exclude_defaults=True) | {"class": rule.class_}
    return CompiledError(rule.id, when, rule.class_, text[0] if text else None, rule.disable, source)
