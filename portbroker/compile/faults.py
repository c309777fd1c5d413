"""The problems of a compilation, collected, so that all of them are told at once.

The one rule: a fault has its place in the file; whoever finds it names the steps that lead there.
"""

from typing import TypeAlias

from portbroker.config.load import Loaded
from portbroker.errors import ConfigError, Problem
from portbroker.fieldmap.problems import RulesError

At: TypeAlias = tuple[str | int, ...]
"""The steps to a place of the file: `("providers", 0, "base_url")`."""


class Faults:
    """The problems found so far in one file."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._problems: list[Problem] = []

    def add(self, at: At, message: str, hint: str = "", *, key: bool = False) -> None:
        """Record one. With `key`, it is about the key, not its value."""
        self._problems.append(self._loaded.problem(at, message, hint, key=key))

    def add_rules(self, at: At, error: RulesError) -> None:
        """Record those of field maps or conditions, their places counted from `at`."""
        for problem in error.problems:
            self.add((*at, *problem.where), problem.message, problem.hint)

    def refuse(self) -> None:
        """Raise `ConfigError` with all of them, if there are any."""
        if self._problems:
            raise ConfigError(sorted(self._problems, key=self._order))

    def _order(self, problem: Problem) -> tuple[bool, str, int, int]:
        return problem.file != self._loaded.file, problem.file, problem.line, problem.column
