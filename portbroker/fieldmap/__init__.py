"""Field maps: rules of `translations:` compiled to plain functions from one document to another.

The one rule: everything that can be wrong with a rule is found while it is compiled; a compiled rule cannot fail.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portbroker.conversation import Json, Report


@dataclass(slots=True)  # not frozen: made for each call, and frozen ones take five times as long
class RuleContext:
    """What `ctx.…` in a rule reads. `model` is the upstream's word, `requested_model` the client's.

    `status` is the HTTP status of the answer; only `errors` rules can ask for it.
    """

    model: str = ""
    requested_model: str = ""
    client: str = ""
    stream: bool = False
    provider: str = ""
    route: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0


Params: TypeAlias = Callable[[Json, Report], Json]
"""Canonical parameters to those of a target's dialect; the argument is not changed."""
