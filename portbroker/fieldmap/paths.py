"""Paths in a document, compiled once to closures that look and that change.

The one rule: a document is never changed. An update returns a new one that shares all that was not touched, and the
very same one when nothing changed.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from portbroker.fieldmap.segments import MISSING, Each, Index, Key, PathError, Segment, parse_path

Change: TypeAlias = Callable[[Any], Any]
"""From a value (or `MISSING`) to the one that replaces it; `MISSING` deletes it; the same object changes nothing."""

Update: TypeAlias = Callable[[Any, Change], Any]


class Path:
    """A compiled path. `many` says that it may lead to several places."""

    __slots__ = ("_finders", "many", "root", "segments", "text", "update", "upsert")

    def __init__(self, text: str, segments: tuple[Segment, ...]) -> None:
        self.text = text
        self.segments = segments
        self.root = segments[0].name if segments and isinstance(segments[0], Key) else None
        """The top-level key that it leads through, without which there is nothing to change; None if there is none."""
        self.many = any(isinstance(segment, Each) for segment in segments)
        self.update: Update = _updater(segments, create=False)
        """Change every value that is there."""
        self.upsert: Update = _updater(segments, create=True)
        """Change every value, also one that is absent from an object; objects on the way are made."""
        self._finders = tuple(map(_finder, segments))

    def all(self, document: Any) -> list[Any]:
        """Every value that the path leads to."""
        found = [document]
        for find in self._finders:
            found = [value for node in found for value in find(node)]
        return found

    def get(self, document: Any) -> Any:
        """The (first) value that the path leads to, or `MISSING`."""
        if self.many:
            found = self.all(document)
            return found[0] if found else MISSING
        node = document
        for segment in self.segments:
            node = _step(segment, node)
            if node is MISSING:
                break
        return node

    def set(self, document: Any, value: Any) -> Any:
        """The document with this value there."""
        return self.upsert(document, lambda old: old if same(old, value) else value)

    def delete(self, document: Any) -> Any:
        """The document without what the path leads to."""
        return self.update(document, lambda _: MISSING)


def compile_path(text: str) -> Path:
    """The path that this text says; raises `PathError`."""
    if not isinstance(text, str) or not text:
        raise PathError("a path is text like `choices[0].message`")
    return Path(text, tuple(parse_path(text)))


def split_pair(source: Path, to: Path) -> tuple[Path | None, Path, Path]:
    """The last array element that both paths share, and the rest of each from there.

    Raises `PathError` when `to` may lead to several places and `source` leads to several others: nothing says which
    belongs to which.
    """
    shared = 0
    for at, (a, b) in enumerate(zip(source.segments, to.segments, strict=False), 1):
        if a != b:
            break
        if isinstance(a, Each):
            shared = at
    prefix = Path(to.text, to.segments[:shared]) if shared else None
    rest_from, rest_to = Path(source.text, source.segments[shared:]), Path(to.text, to.segments[shared:])
    if rest_from.many and rest_to.many:
        raise PathError(f"`{source.text}` and `{to.text}` do not pair up: both must go through the same [*]")
    return prefix, rest_from, rest_to


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    try:
        return bool(a == b)
    except RecursionError:  # two documents from outside, nested deeper than Python compares
        return False


# One step of looking


def _in_range(index: int, node: Any) -> TypeGuard[list[Any]]:
    return isinstance(node, list) and -len(node) <= index < len(node)


def _step(segment: Segment, node: Any) -> Any:
    if isinstance(segment, Key):
        return node.get(segment.name, MISSING) if isinstance(node, dict) else MISSING
    if isinstance(segment, Index):
        return node[segment.index] if _in_range(segment.index, node) else MISSING
    raise AssertionError(segment)


def _finder(segment: Segment) -> Callable[[Any], list[Any]]:
    if isinstance(segment, Each):
        if segment.key is None:
            return lambda node: node if isinstance(node, list) else []
        return lambda node: [i for i in node if segment.matches(i)] if isinstance(node, list) else []

    def find(node: Any) -> list[Any]:
        value = _step(segment, node)
        return [] if value is MISSING else [value]

    return find


# Updating: the closure of a segment holds that of the segments after it


def _updater(segments: tuple[Segment, ...], create: bool) -> Update:
    update: Update = _apply
    for segment in reversed(segments):
        if isinstance(segment, Key):
            update = (_upsert_key if create else _update_key)(segment.name, update)
        elif isinstance(segment, Index):
            update = _update_index(segment.index, update)
        else:
            update = _update_each(segment, update)
    return update


def _apply(value: Any, change: Change) -> Any:
    return change(value)


def _with(node: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    if value is MISSING:
        return {k: v for k, v in node.items() if k != name}
    return {**node, name: value}


def _update_key(name: str, rest: Update) -> Update:
    def update(node: Any, change: Change) -> Any:
        if not isinstance(node, dict) or name not in node:
            return node
        old = node[name]
        new = rest(old, change)
        return node if new is old else _with(node, name, new)

    return update


def _upsert_key(name: str, rest: Update) -> Update:
    def update(node: Any, change: Change) -> Any:
        if node is MISSING:
            new = rest(MISSING, change)
            return MISSING if new is MISSING else {name: new}
        if not isinstance(node, dict):
            return node
        old = node.get(name, MISSING)
        new = rest(old, change)
        return node if new is old else _with(node, name, new)

    return update


def _update_index(index: int, rest: Update) -> Update:
    def update(node: Any, change: Change) -> Any:
        if not _in_range(index, node):
            return node
        old = node[index]
        new = rest(old, change)
        if new is old:
            return node
        copy = node.copy()
        if new is MISSING:
            del copy[index]
        else:
            copy[index] = new
        return copy

    return update


def _update_each(segment: Each, rest: Update) -> Update:
    def update(node: Any, change: Change) -> Any:
        if not isinstance(node, list):
            return node
        copy = None
        for at, old in enumerate(node):
            if segment.matches(old) and (new := rest(old, change)) is not old:
                copy = copy or node.copy()
                copy[at] = new
        return node if copy is None else [item for item in copy if item is not MISSING]

    return update
