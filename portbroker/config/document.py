"""YAML as plain data with the place of every key and value: `parse` gives a `Document`.

The one rule: nothing is built before it is counted. The parser's events are read one by one and the data grows on a
list, never by recursion, so that no file can exhaust memory, time or the stack: nesting, nodes (aliases counted in
full) and size are bounded. Plain words mean what YAML 1.2 says; keys are always text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from portbroker.config.place import Mark, Node, Path, find, place_of
from portbroker.config.syntax import Fault, describe
from portbroker.config.values import core_scalar

MAX_DEPTH = 64
MAX_NODES = 200_000

# Events stop the C parser early; it is its composer, which is not used here, that overflows the stack.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_CONVERTERS = frozenset(_CORE + kind for kind in ("null", "bool", "int", "float"))


@dataclass(frozen=True, slots=True)
class Document:
    """`data` is the whole file as plain values. `faults` are those that do not keep the rest from being checked.

    Of several files in one, `origins` names those that its sections, and the entries of these, come from.
    """

    root: Node
    faults: tuple[Fault, ...]
    origins: Mapping[Path, str] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        return self.root.value

    def path(self, dotted: str) -> Path:
        """`providers[0].base_url` as the steps that lead there, as far as the document knows them."""
        return find(self.root, dotted)

    def file(self, path: Path) -> str | None:
        """The file that this stands in; None for the one that names the others."""
        return self.origins.get(path[:2]) or self.origins.get(path[:1])

    def place(self, path: Path, *, key: bool = False) -> Mark:
        """Where the value (or its key) stands; for what is not there, where what should hold it stands."""
        return place_of(self.root, path, key=key)


def parse(text: str) -> Document:
    """The one document in the text. Raises `Fault` for what makes the rest unreadable."""
    builder = _Builder()
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as error:
        raise describe(error, text) from None
    if builder.root is None or builder.root.value is None:
        raise Fault("the file is empty", 0, 0, "start with `providers:`")
    return Document(builder.root, tuple(builder.faults))


def _events(text: str) -> Iterator[yaml.Event]:
    loader = _LOADER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _collection_as_key(outer: Node, mark: Mark) -> Fault:
    """Two braces side by side are a template that lacks its quotes."""
    if outer.mark == (mark[0], mark[1] - 1):
        return Fault("a template must be in quotes", *outer.mark, 'write "{{ env.NAME }}"')
    return Fault("a list or mapping cannot be a key", *mark, "put the key in quotes")


@dataclass(slots=True)
class _Open:
    """A collection under way. `key` is the mapping's key that waits for its value."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_mark: Mark = (0, 0)
    awaits_value: bool = False
    merging: bool = False
    merges: list[Node] = field(default_factory=list)


class _Builder:
    """Takes events; has the tree in `root` when the document ended."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None: still open, so an alias to it would be a cycle
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._start(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: yaml.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Fault("a second document begins here", *_mark(event), "the file holds one; take the `---` out")

    def _count(self, nodes: int, depth: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Fault(f"the file holds more than {MAX_NODES} values (an alias counts as all it stands for)", *mark)
        if len(self._open) + depth > MAX_DEPTH:
            raise Fault(f"nested more than {MAX_DEPTH} deep", *mark)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _mark(event)
        self._count(1, 0, mark)
        if self._expects_key():
            self._key(event, mark)
            return
        node = Node(self._value(event, mark), mark)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node)

    def _value(self, event: yaml.ScalarEvent, mark: Mark) -> Any:
        plain = event.implicit[0] and event.tag is None
        if not plain and event.tag not in _CONVERTERS:
            if event.tag not in (None, "!", _CORE + "str"):
                self._refuse_tag(event.tag, mark)
            return event.value
        try:
            return core_scalar(event.value)
        except ValueError as error:
            self.faults.append(Fault(f"this number {error}", *mark, "put it in quotes to make it text"))
            return event.value

    def _refuse_tag(self, tag: str, mark: Mark) -> None:
        shown = tag.replace(_CORE, "!!")[:60]
        self.faults.append(Fault(f"the tag {shown} is not allowed", *mark, "take it out; values are plain data"))

    def _expects_key(self) -> bool:
        top = self._open[-1] if self._open else None
        return top is not None and top.node.marks is not None and not top.awaits_value

    def _key(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        top, plain = self._open[-1], event.implicit[0]
        marks = top.node.marks if top.node.marks is not None else {}
        if plain and not event.value:
            raise Fault("a key is missing before this ':'", *mark)
        self._check_twice(marks, event.value, mark)
        if event.anchor:
            self._anchors[event.anchor] = Node(event.value, mark)
        top.key, top.key_mark, top.awaits_value = event.value, mark, True
        top.merging = plain and event.value == "<<"
        if top.merging:
            marks["<<"] = mark

    def _check_twice(self, marks: dict[str, Mark], key: str, mark: Mark) -> None:
        if key in marks:
            line, column = marks[key]
            message = f"the key `{key}` is here twice; it is also in line {line}, column {column}"
            self.faults.append(Fault(message, *mark))

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mark = _mark(event)
        self._count(1, 1, mark)
        if self._expects_key():
            raise _collection_as_key(self._open[-1].node, mark)
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag and event.tag not in ("!", _CORE + ("map" if mapping else "seq")):
            self._refuse_tag(event.tag, mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        node = Node({} if mapping else [], mark, marks={} if mapping else None, block=not event.flow_style)
        self._open.append(_Open(node, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        for source in done.merges:
            self._merge(done.node, source)
        if done.anchor:
            self._anchors[done.anchor] = done.node
        self._add(done.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = _mark(event)
        if self._expects_key():
            raise Fault("an alias cannot be a key", *mark)
        if event.anchor not in self._anchors:
            raise Fault(f"*{event.anchor} is not defined above", *mark, "put text that begins with * in quotes")
        target = self._anchors[event.anchor]
        if target is None:
            raise Fault(f"*{event.anchor} stands inside the value that it repeats", *mark)
        self._count(target.size, target.height, mark)
        self._add(Node(target.value, mark, target.children, target.marks, target.size, target.height))

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        top.node.size += node.size
        top.node.height = max(top.node.height, node.height + 1)
        if top.node.marks is None:
            top.node.value.append(node.value)
            top.node.children[len(top.node.children)] = node
        elif top.merging:
            self._take_merge(top, node)
        else:
            self._set(top.node, str(top.key), node, top.key_mark)
        top.awaits_value = False

    def _set(self, mapping: Node, key: str, node: Node, mark: Mark) -> None:
        assert mapping.marks is not None
        mapping.value[key] = node.value
        mapping.children[key] = node
        mapping.marks[key] = mark

    def _take_merge(self, top: _Open, node: Node) -> None:
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        if any(source.marks is None for source in sources):
            self.faults.append(Fault("`<<` takes a mapping, or a list of mappings", *node.mark))
            return
        top.merges += sources

    def _merge(self, mapping: Node, source: Node) -> None:
        """Take the keys that the mapping has not itself; of several sources, the first has the last word."""
        assert source.marks is not None
        for key, child in source.children.items():
            if key not in mapping.value:
                self._set(mapping, str(key), child, source.marks[str(key)])
