"""Where things stand: the tree of a document with the place of each key and value. One rule: places count from 1."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Mark: TypeAlias = tuple[int, int]
"""Line and column."""
Path: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """A value, where it begins, and what it holds. `marks` (None but for a mapping) is where its keys stand.

    `size` and `height` count what it stands for with every alias in full. `block`: a collection on lines of its own.
    """

    value: Any
    mark: Mark
    children: dict[str | int, "Node"] = field(default_factory=dict)
    marks: dict[str, Mark] | None = None
    size: int = 1
    height: int = 0
    block: bool = False


def dotted(path: Path) -> str:
    """`("providers", 0, "base_url")` as `providers[0].base_url`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def find(root: Node, text: str) -> Path:
    """The steps of a dotted path, as far as the document has them. Of keys that hold dots, the longest wins."""
    path: list[str | int] = []
    node = root
    while text and (step := _step(node, text)) is not None:
        key, text = step
        path.append(key)
        node = node.children[key]
    return tuple(path)


def _step(node: Node, text: str) -> tuple[str | int, str] | None:
    """The child that the text begins with, and the rest of the text."""
    fitting = [(key, head) for key in node.children if text.startswith(head := _head(key)) and _ends(text, head)]
    if not fitting:
        return None
    key, head = max(fitting, key=lambda pair: len(pair[1]))
    return key, text[len(head) :].removeprefix(".")


def _head(key: str | int) -> str:
    return f"[{key}]" if isinstance(key, int) else key


def _ends(text: str, head: str) -> bool:
    return len(text) == len(head) or text[len(head)] in ".["


def place_of(root: Node, path: Path, *, key: bool = False) -> Mark:
    """Where the value stands; a mapping or list in block style stands where its key does. With `key`, the key itself.

    For what is not there, where what should hold it stands.
    """
    node, mark = root, root.mark
    for step in path:
        if step not in node.children:
            return mark
        parent, node = node, node.children[step]
        mark = _mark_of(parent, node, step, key=key and step is path[-1])
    return mark


def _mark_of(parent: Node, node: Node, step: str | int, *, key: bool) -> Mark:
    """A block under its key is easier found by the key."""
    at_key = None if parent.marks is None else parent.marks[str(step)]
    return at_key if at_key and (key or node.block) else node.mark


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to say about a place of the document. `at_key`: about the key, not its value."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
