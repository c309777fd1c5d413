"""Changes of providers in the text of a file, with its comments, its order and everything else left as it stands.

Only the lines of the provider that is changed are written anew; a list that is not written one item below the other
costs the layout of the whole file. The one rule: what comes out is read again, and says what was meant and nothing
else, or there is no change.
"""

from collections.abc import Callable, Collection, Mapping, MutableSequence
from typing import Any

from portbroker.config import document, round_trip
from portbroker.config.place import Node
from portbroker.config.syntax import Fault
from portbroker.errors import PortBrokerError

_LIST = "providers"


class NotEdited(PortBrokerError):
    """The file is written in a way that cannot be changed by a program."""


def added(text: str, values: Mapping[str, Any]) -> str:
    """The text with one more provider, behind the others. Raises `NotEdited`."""
    data = document.parse(text).data
    wanted = {**data, _LIST: [*(data.get(_LIST) or []), dict(values)]}
    return _first_right(
        wanted, _with_item(text, values), lambda: _whole(text, lambda items: items.append(round_trip.mapping(values)))
    )


def changed(text: str, index: int, values: Mapping[str, Any], gone: Collection[str] = ()) -> str:
    """The text with other values of a provider, and without those that are `gone`. Raises `NotEdited`."""
    data = document.parse(text).data
    before = data[_LIST][index]
    after = {name: value for name, value in {**before, **values}.items() if name not in gone}
    wanted = {**data, _LIST: [after if at == index else item for at, item in enumerate(data[_LIST])]}
    return _first_right(
        wanted,
        _with_changed_item(text, index, values, gone),
        lambda: _whole(text, lambda items: round_trip.change(items[index], values, gone)),
    )


def removed(text: str, index: int) -> str:
    """The text without a provider. Raises `NotEdited`."""
    data = document.parse(text).data
    kept = [item for at, item in enumerate(data[_LIST]) if at != index]
    return _first_right(
        {**data, _LIST: kept}, _without_item(text, index), lambda: _whole(text, lambda items: items.pop(index))
    )


def _first_right(wanted: Any, by_lines: str | None, as_whole: Callable[[], str]) -> str:
    """What reads as it is wanted: with few lines changed, if that will do."""
    for text in (by_lines, None):
        try:
            candidate = text if text is not None else as_whole()
            if document.parse(candidate).data == wanted:
                return candidate
        except Fault:
            continue
    raise NotEdited("the file is written in a way that only a person can change")


# a few lines


class _Item:
    """Where an item of the list stands: `lines` are those of its content, `column` is that of its keys, all from 0."""

    def __init__(self, text: list[str], items: Node, index: int, end: int) -> None:
        node = items.children[index]
        self.first, self.column = node.mark[0] - 1, node.mark[1] - 1
        following = items.children.get(index + 1)
        self.end = _content_end(text, _last_line(node), following.mark[0] - 1 if following else end)
        self.dash = self.first
        while self.dash > 0 and not text[self.dash].lstrip().startswith("-"):
            self.dash -= 1
        self.block = node.block and node.marks is not None and bool(node.children)


def _items(text: str) -> tuple[list[str], Node, int] | None:
    """The lines, the list of providers, and the line behind it; None for a list that is not one below the other."""
    root = document.parse(text).root
    items = root.children.get(_LIST)
    if items is None or not items.block or not items.children or root.marks is None:
        return None
    lines = text.splitlines(keepends=True)
    begins = root.marks[_LIST][0]
    later = [mark[0] - 1 for mark in root.marks.values() if mark[0] > begins]
    return lines, items, min(later, default=len(lines))


def _last_line(node: Node) -> int:
    """The line, from 0, on which the last of its values begins."""
    return max([node.mark[0] - 1, *map(_last_line, node.children.values())])


def _content_end(lines: list[str], last: int, end: int) -> int:
    """The line behind the content: what follows it in the way of comments and space belongs to what follows."""
    while end > last + 1 and _is_beside(lines[end - 1]):
        end -= 1
    return end


def _is_beside(line: str) -> bool:
    said = line.strip()
    return not said or said.startswith("#") or said in ("-", "...")


def _with_changed_item(text: str, index: int, values: Mapping[str, Any], gone: Collection[str]) -> str | None:
    if (found := _items(text)) is None:
        return None
    lines, items, end = found
    item = _Item(lines, items, index, end)
    if not item.block:
        return None
    margin = " " * item.column
    part = [margin + lines[item.first][item.column :], *lines[item.first + 1 : item.end]]
    if (
        mapping := round_trip.loaded("".join(line[item.column :] if line.startswith(margin) else line for line in part))
    ) is None:
        return None
    round_trip.change(mapping, values, gone)
    written = round_trip.written(mapping).splitlines(keepends=True)
    written = [lines[item.first][: item.column] + written[0], *(margin + line if line.strip() else line
                                                                for line in written[1:])]  # fmt: skip
    return _spliced(lines, item.first, item.end, written)


def _with_item(text: str, values: Mapping[str, Any]) -> str | None:
    if (found := _items(text)) is None:
        return None
    lines, items, end = found
    count = len(items.children)
    last = _Item(lines, items, count - 1, end)
    if not last.block:
        return None
    head = lines[last.dash][: lines[last.dash].index("-") + 1].ljust(last.column)
    written = round_trip.written(round_trip.mapping(values)).splitlines(keepends=True)
    written = [head + written[0], *(" " * last.column + line for line in written[1:])]
    apart = count > 1 and not lines[_Item(lines, items, count - 1, end).dash - 1].strip()
    return _spliced(lines, last.end, last.end, ["\n", *written] if apart else written)


def _without_item(text: str, index: int) -> str | None:
    if (found := _items(text)) is None:
        return None
    lines, items, end = found
    item = _Item(lines, items, index, end)
    if len(items.children) == 1:
        key = next((at for at in range(item.dash, -1, -1) if f"{_LIST}:" in lines[at]), 0)
        return _spliced([*lines[:key], lines[key].replace(f"{_LIST}:", f"{_LIST}: []", 1), *lines[key + 1 :]],
                        item.dash, item.end, [])  # fmt: skip
    behind = item.end
    while behind < len(lines) and not lines[behind].strip() and item.dash and not lines[item.dash - 1].strip():
        behind += 1  # one empty line between its neighbours is enough
    return _spliced(lines, item.dash, behind, [])


def _spliced(lines: list[str], first: int, end: int, written: list[str]) -> str:
    """The lines with others in the place of some; a last line that lacked its end gets one."""
    before = "".join(lines[:first])
    if before and written and not before.endswith("\n"):
        before += "\n"
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    return before + "".join(line.rstrip("\r\n") + ending for line in written) + "".join(lines[end:])


# the whole


def _whole(text: str, act: Callable[[MutableSequence[Any]], object]) -> str:
    """The text written anew after `act` on the list of providers."""
    data = round_trip.loaded(text)
    if data is None:
        raise NotEdited("the file is written in a way that only a person can change")
    if not isinstance(data.get(_LIST), MutableSequence):
        data[_LIST] = round_trip.sequence()
    act(data[_LIST])
    return round_trip.written(data)
