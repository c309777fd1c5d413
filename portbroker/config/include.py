"""Several files as one document: what stands in a file that `include` names is as if it stood in the file itself.

The one rule: nothing overrides anything. Lists are joined, mappings are joined key by key, and what has one name in two
places is a fault that names both.
"""

import posixpath
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from portbroker.config import document, source
from portbroker.config.document import Document
from portbroker.config.environment import Environment, Missing
from portbroker.config.place import Mark, Node, Path
from portbroker.config.syntax import Fault
from portbroker.errors import Problem

WORD: Final = "include"
MOST_FILES: Final = 1000
MOST_BYTES: Final = 16 * 1024 * 1024
_NAMES: Final = {"providers": "name", "routes": "path", "tests": "name"}
"""What tells the entries of a list apart."""


@dataclass(slots=True)
class Whole:
    """The file with all that it includes. `names` are the files included, counted from its directory."""

    document: Document
    names: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digests: list[tuple[str, bytes]] = field(default_factory=list)
    """The names with the bytes, in the order of the names: what the revision is made of."""


def gather(main: Document, file: str, environment: Environment) -> Whole:
    """The file with what it includes, and every problem of those files that is found on the way."""
    if not _patterns(main):
        return Whole(main)
    gathering = _Gathering(main, file, environment)
    gathering.include(main, file, (PurePath(file).name,))
    return gathering.finished()


def _patterns(part: Document) -> list[tuple[int, str]]:
    """What a file includes, as far as it is what it must be; the rest is said by those who check the words."""
    said = part.data.get(WORD) if isinstance(part.data, dict) else None
    return [(at, text) for at, text in enumerate(said) if isinstance(text, str)] if isinstance(said, list) else []


class _Gathering:
    """A document that grows with each file."""

    def __init__(self, main: Document, file: str, environment: Environment) -> None:
        self._file = file
        self._environment = environment
        self._root = _copy(main.root)
        self._faults = main.faults
        self._origins: dict[Path, str] = {}
        self._files: dict[str, bytes] = {}
        self._size = 0
        self._problems: list[Problem] = []

    def finished(self) -> Whole:
        whole = Document(self._root, self._faults, self._origins)
        return Whole(whole, list(self._files), self._problems, sorted(self._files.items()))

    def include(self, part: Document, file: str, trail: tuple[str, ...]) -> None:
        """Take in what a part includes. `trail` are the names of the files that lead to it, its own last."""
        base = posixpath.dirname(trail[-1]) if len(trail) > 1 else ""
        for at, pattern in _patterns(part):
            mark = part.place((WORD, at))
            try:
                for name in self._matching(posixpath.join(base, pattern), pattern):
                    self._take(name, trail)
            except Missing as missing:
                self._fault(file, mark, str(missing), missing.hint)
            except Fault as fault:
                self._fault(file, mark, fault.message, fault.hint)

    def _matching(self, pattern: str, written: str) -> list[str]:
        names = self._environment.names(pattern)
        if not names and not set("*?[") & set(written):
            raise Missing(f"the file {written} is not there")
        return names

    def _take(self, name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            way = " -> ".join((*trail[trail.index(name) :], name))
            raise Fault(f"goes round in a circle: {way}", hint="a file cannot be a part of itself")
        if name in self._files:
            return  # several patterns may match it
        data = self._environment.part(name)
        self._files[name] = data
        self._size += len(data)
        if len(self._files) > MOST_FILES or self._size > MOST_BYTES:
            raise Fault(f"more than {MOST_FILES} files, or {MOST_BYTES // 1024 // 1024} MiB, are included")
        file = str(PurePath(self._file).parent / name)
        try:
            part = document.parse(source.text_of(data))
        except Fault as fault:
            self._problems.append(Problem(file, fault.line, fault.column, fault.message, hint=fault.hint))
            return
        self._problems += [Problem(file, f.line, f.column, f.message, hint=f.hint) for f in part.faults]
        self._join(part.root, file)
        self.include(part, file, (*trail, name))

    def _fault(self, file: str, mark: Mark, message: str, hint: str = "", path: str = "") -> None:
        self._problems.append(Problem(file, *mark, message, path, hint))

    # joining

    def _join(self, part: Node, file: str) -> None:
        """Take the sections of a part into the whole."""
        if part.marks is None:
            self._fault(file, part.mark, "the file must be a mapping", "begin with `providers:` and a list below it")
            return
        for section, node in part.children.items():
            mark = part.marks[str(section)]
            if section == WORD or node.value is None:
                continue
            mine = self._root.children.get(section)
            if mine is None or mine.value is None:
                _put(self._root, str(section), _copy(node), mark)
                self._origins[(section,)] = file
            elif isinstance(mine.value, list) and isinstance(node.value, list):
                self._extend(str(section), mine, node, file)
            elif mine.marks is not None and node.marks is not None:
                self._merge(str(section), mine, node, file)
            else:
                kind = "list" if isinstance(mine.value, list) else "mapping" if mine.marks is not None else "value"
                self._fault(file, mark, f"`{section}` is a {kind} in {self._place((section,))}, and not here")

    def _extend(self, section: str, mine: Node, more: Node, file: str) -> None:
        word = _NAMES.get(section, "")
        known = {name: at for at, entry in enumerate(mine.value) if (name := _name(entry, word)) is not None}
        for node in more.children.values():
            at = len(mine.value)
            name = _name(node.value, word)
            if name in known and file != self._origin((section, known[name])):
                there = self._place((section, known[name], word))
                self._fault(file, node.children[word].mark, f"{name!r} is also in {there}", "take one of them out")
                continue
            mine.value.append(node.value)
            mine.children[at] = node
            self._origins[(section, at)] = file

    def _merge(self, section: str, mine: Node, more: Node, file: str) -> None:
        assert more.marks is not None
        for key, node in more.children.items():
            mark = more.marks[str(key)]
            if key in mine.children:
                self._fault(file, mark, f"`{key}` is also in {self._place((section, key))}", "take one of them out",
                            f"{section}.{key}")  # fmt: skip
            else:
                _put(mine, str(key), node, mark)
                self._origins[(section, key)] = file

    def _origin(self, path: Path) -> str:
        return Document(self._root, (), self._origins).file(path) or self._file

    def _place(self, path: Path) -> str:
        line, _ = Document(self._root, ()).place(path, key=len(path) < 3)
        return f"{self._origin(path)}, line {line}"


def _name(entry: Any, word: str) -> str | None:
    name = entry.get(word) if word and isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _put(mapping: Node, key: str, node: Node, mark: Mark) -> None:
    assert mapping.marks is not None
    mapping.value[key] = node.value
    mapping.children[key] = node
    mapping.marks[key] = mark


def _copy(node: Node) -> Node:
    """The node, and the collections right below it, as ones that may grow; an anchor may lend them to other places."""
    return _own(Node(
        node.value, node.mark, {key: _own(child) for key, child in node.children.items()}, node.marks,
        node.size, node.height, node.block,
    ))  # fmt: skip


def _own(node: Node) -> Node:
    if node.marks is not None:
        value = {key: child.value for key, child in node.children.items()}
        return Node(value, node.mark, dict(node.children), dict(node.marks), node.size, node.height, node.block)
    if isinstance(node.value, list):
        value_list = [child.value for child in node.children.values()]
        return Node(value_list, node.mark, dict(node.children), None, node.size, node.height, node.block)
    return node
