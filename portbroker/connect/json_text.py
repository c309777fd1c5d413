"""JSON, and JSON with comments and trailing commas: edited in place.

The one rule: a new member looks as those beside it do, on lines of its own or on theirs.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from portbroker.connect.json_nodes import Member, Node, parse
from portbroker.connect.texts import Path, TextError, newline_of, place


@dataclass(frozen=True, slots=True)
class JsonText:
    """JSON; `lenient` for files whose client takes comments and trailing commas."""

    lenient: bool = False

    def read(self, text: str) -> Any:
        if not self._holds_any(text):
            return {}
        node = parse(text, lenient=self.lenient)
        if not isinstance(node.value, dict):
            raise TextError("an object is expected", *place(text, node.start))
        return node.value

    def source(self, text: str, path: Path) -> str | None:
        member = self._member(text, path)
        return text[member.node.start : member.node.end] if member else None

    def write(self, value: Any) -> str:
        return json.dumps(value, indent=2, ensure_ascii=False)

    def put(self, text: str, path: Path, source: str) -> str:
        if not self._holds_any(text):
            text = text + "{}\n"
        if member := self._member(text, path):
            return text[: member.node.start] + source + text[member.node.end :]
        return self._inserted(text, path, source)

    def drop(self, text: str, path: Path) -> str:
        holder, member = self._holder(text, path[:-1]), self._member(text, path)
        assert holder is not None
        assert member is not None
        start = len(text[: member.start].rstrip())
        if member.comma is not None:
            return _tidy(text[:start] + text[member.comma + 1 :], holder.start)
        at = holder.members.index(member)
        before = holder.members[at - 1].comma if at else None
        left = text[:start] if before is None else text[:before] + text[before + 1 : start]
        return _tidy(left + text[member.node.end :], holder.start)

    def _holds_any(self, text: str) -> bool:
        return bool(text.strip().lstrip("\ufeff"))

    def _member(self, text: str, path: Path) -> Member | None:
        holder = self._holder(text, path[:-1])
        return holder.member(path[-1]) if holder else None

    def _holder(self, text: str, path: Path) -> Node | None:
        """The object at a path."""
        if not self._holds_any(text):
            return None
        node = parse(text, lenient=self.lenient)
        for key in path:
            member = node.member(key)
            if member is None:
                return None
            node = member.node
        return node

    def _inserted(self, text: str, path: Path, source: str) -> str:
        """The text with a new member in the innermost object that is there."""
        depth = next(depth for depth in range(len(path) - 1, -1, -1) if self._holder(text, path[:depth]))
        holder = self._holder(text, path[:depth])
        assert holder is not None
        if not isinstance(holder.value, dict):
            raise TextError(f"{'.'.join(path[:depth])} is not an object", *place(text, holder.start))
        unit = _unit(text)
        source = re.sub("^(?:  )+", lambda blanks: unit * (len(blanks[0]) // 2), source, flags=re.MULTILINE)
        for key in reversed(path[depth + 1 :]):
            source = "{\n" + unit + json.dumps(key) + ": " + _deeper(source, unit) + "\n}"
        return _with_member(text, holder, json.dumps(path[depth]), source, unit)


def _with_member(text: str, holder: Node, key: str, source: str, unit: str) -> str:
    newline = newline_of(text)
    last = holder.members[-1] if holder.members else None
    if last and "\n" not in text[holder.start : last.start]:  # all on one line
        member = f"{key}: {' '.join(line.strip() for line in source.splitlines())}"
        end = last.node.end if last.comma is None else last.comma + 1
        return f"{text[:end]}{',' if last.comma is None else ''} {member}{text[end:]}"
    outer = _indent(text, holder.start)
    inner = _indent(text, last.start) if last else outer + unit
    member = f"{newline}{inner}{key}: {_deeper(source, inner, newline)}"
    if last is None:
        body = text[holder.start + 1 : holder.end - 1]
        closing = newline + outer if not body.strip() else ""
        kept = body.rstrip() if body.strip() else ""
        ending = body[len(kept) :] if kept else ""
        return f"{text[: holder.start + 1]}{kept}{member}{closing}{ending}{text[holder.end - 1 :]}"
    end = holder.start + len(text[holder.start : holder.end - 1].rstrip())  # after a comment that follows the last one
    if last.comma is not None:
        return f"{text[:end]}{member},{text[end:]}"
    return f"{text[: last.node.end]},{text[last.node.end : end]}{member}{text[end:]}"


def _indent(text: str, at: int) -> str:
    """The blanks that begin the line of an offset."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())].lstrip("\ufeff")


def _unit(text: str) -> str:
    """By how much each level of a text is indented."""
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _deeper(source: str, indent: str, newline: str = "\n") -> str:
    first, *rest = source.splitlines()
    return newline.join([first, *(indent + line for line in rest)])


def _tidy(text: str, start: int) -> str:
    """An object from which the last member has gone is `{}` again."""
    node = re.compile(r"\{\s*\}").match(text, start)
    return text[:start] + "{}" + text[node.end() :] if node else text
