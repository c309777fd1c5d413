"""What each kind of settings file offers: its values read, one of them written into the text, or taken out of it.

The one rule: an edit that would change anything but what it was asked to is refused, whatever the text looks like.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from portbroker.errors import PortBrokerError

Path = tuple[str, ...]
"""Keys from the outermost one to that of a value."""


class TextError(PortBrokerError):
    """A text that is not what its kind of file holds, or cannot be edited in place; line and column from 1, or 0."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Kind(Protocol):
    """One kind of text. `source` is a value as it is written in the text; all edits give a new text."""

    def read(self, text: str) -> Any:
        """The values; an empty mapping for a text without any. Raises `TextError`."""

    def source(self, text: str, path: Path) -> str | None:
        """What is written at a path; None where nothing is."""

    def write(self, value: Any) -> str:
        """A value as it may stand in any text of this kind."""

    def put(self, text: str, path: Path, source: str) -> str:
        """The text with this at a path; mappings on the way that are missing are made."""

    def drop(self, text: str, path: Path) -> str:
        """The text without what is at a path, which must be there."""


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset."""
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def newline_of(text: str) -> str:
    """How lines end in a text."""
    return "\r\n" if "\r\n" in text else "\n"


def found(values: Any, path: Path) -> Any:
    """The value at a path, None where nothing is."""
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return values


def put(kind: Kind, text: str, path: Path, source: str) -> str:
    """As the kind does it, and looked at again. Raises `TextError` when anything else changed with it."""
    edited = kind.put(text, path, source)
    _same_but(kind, text, edited, path)
    if found(kind.read(edited), path) is None:
        raise TextError(f"{'.'.join(path)} cannot be written here")
    return edited


def drop(kind: Kind, text: str, path: Path) -> str:
    """As the kind does it, and looked at again."""
    edited = kind.drop(text, path)
    _same_but(kind, text, edited, path)
    return edited


def _same_but(kind: Kind, before: str, after: str, path: Path) -> None:
    if _without(kind.read(before), path) != _without(kind.read(after), path):
        raise TextError(f"{'.'.join(path)} cannot be changed here without changing what stands beside it")


def _without(values: Any, path: Path) -> Any:
    """The values without that of a path, and without the mappings that are empty then."""
    if not isinstance(values, dict):
        return values
    first, rest = path[0], path[1:]
    left = {key: value for key, value in values.items() if key != first}
    if rest and first in values:
        inner = _without(values[first], rest)
        if inner != {}:
            left[first] = inner
    return left


def missing(values: Any, path: Path) -> Sequence[Path]:
    """The mappings on the way to a path that are not there, the outermost first."""
    return [path[:depth] for depth in range(1, len(path)) if found(values, path[:depth]) is None]
