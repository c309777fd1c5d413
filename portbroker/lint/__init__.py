"""What can be served and is hardly meant so: `lint` says it, with the place in the file and what to do.

The one rule: a doubt keeps nothing from being served, so each must be worth its line: what is common is no doubt.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from portbroker.config.load import Loaded
from portbroker.config.place import Path
from portbroker.errors import Problem
from portbroker.lint.clear import in_clear
from portbroker.lint.facts import doubtful_facts
from portbroker.lint.providers import doubtful_providers
from portbroker.lint.rules import doubtful_rules
from portbroker.snapshot import Snapshot

Doubt: TypeAlias = tuple[Path, str, str]
"""A place, what is doubtful there, and what to do."""

_CHECKS: tuple[Callable[[Loaded, Snapshot], Iterator[Doubt]], ...] = (
    in_clear,
    doubtful_providers,
    doubtful_rules,
    doubtful_facts,
)


def lint(loaded: Loaded, snapshot: Snapshot) -> list[Problem]:
    """The doubts about a file that can be served."""
    return [loaded.problem(*doubt) for check in _CHECKS for doubt in check(loaded, snapshot)]
