"""Actions: what an operation compiles to, one change of a document each.

The one rule: an action gives a new document that shares what it did not touch, or the same one when it changed nothing;
it cannot fail, whatever the document holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from portbroker.conversation import AdaptationCode, Json
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.conditions import Known
from portbroker.fieldmap.paths import Change, Path
from portbroker.fieldmap.problems import Place

Apply: TypeAlias = Callable[[Json, RuleContext], Json]


def nothing(document: Json, _: RuleContext) -> Json:
    """Leave the document as it is."""
    return document


@dataclass(frozen=True, slots=True)
class Action:
    """One change. `code` and `path` say how it is reported; without a path, every key that went is reported.

    Without a code it is never reported. `bind` gives the action once options are known, for the few that depend on one.
    It does nothing to a document without the top-level key `needs`.
    """

    apply: Apply
    code: AdaptationCode | None
    path: str | None
    bind: Callable[[Known], Apply] | None = None
    needs: str | None = None

    def bound(self, known: Known) -> "Action":
        """This action with what is known put in."""
        return self if self.bind is None else replace(self, apply=self.bind(known), bind=None)


Operation: TypeAlias = Callable[[Any, Place], list[Action]]


def changing(path: Path, change: Change) -> Apply:
    """Change every value that a path leads to."""
    update = path.update
    return lambda document, _: update(document, change)
