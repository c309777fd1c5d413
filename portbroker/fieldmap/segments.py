"""The grammar of paths, `key(.key)*` with `[n] [-1] [*] [?key=value] [?key]`: text to segments.

The one rule: this is all there is; a path never holds an expression and is never code.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from portbroker.fieldmap.problems import is_number


class Missing:
    """What a path that leads nowhere leads to. Not null: null is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class PathError(ValueError):
    """Text that is no path."""


@dataclass(frozen=True, slots=True)
class Key:
    """One member of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """One element of a list, from the end when negative."""

    index: int


@dataclass(frozen=True, slots=True)
class Each:
    """The elements of a list: all, those that have a key, or those whose key has a value."""

    key: str | None = None
    value: str | None = None

    def matches(self, item: Any) -> bool:
        if self.key is None:
            return True
        if not isinstance(item, dict) or self.key not in item:
            return False
        return self.value is None or scalar_text(item[self.key]) == self.value


Segment: TypeAlias = Key | Index | Each

_KEY = re.compile(r"[^.\[\]\s]+")
_SELECTOR = re.compile(r"\[(?:(\*)|(-1|\d{1,6})|\?([^\[\]=]+)(?:=([^\[\]]*))?)\]")


def scalar_text(value: Any) -> str | None:
    """A scalar as a path or a table writes it, so that `[?index=0]` finds a number; None for what is none."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if is_number(value) else None


def parse_path(text: str) -> Iterator[Segment]:
    """The segments of a path, first to last; raises `PathError`."""
    at = 0
    while True:
        key = _KEY.match(text, at)
        if key is None:
            raise PathError(f"a key is missing at position {at + 1}")
        if key[0].startswith("$"):
            raise PathError(f"keys that start with $ are reserved: {key[0]}")
        yield Key(key[0])
        at = key.end()
        while selector := _SELECTOR.match(text, at):
            every, index, name, value = selector.groups()
            yield Index(int(index)) if index else Each() if every else Each(name, value)
            at = selector.end()
        if at == len(text):
            return
        if text[at] != ".":
            raise PathError(f"`{text[at:]}` is no selector: use [n], [-1], [*], [?key=value] or [?key]")
        at += 1
