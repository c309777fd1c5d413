"""JSON as a tree that knows where each value stands in its text.

The one rule: what is read here is what a client's own parser would read, and nothing more.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from portbroker.connect.texts import TextError, place

_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DEEPEST: Final = 100


@dataclass(slots=True)
class Node:
    """A value and where it stands. `members` are those of an object; `end` is after the last character."""

    value: Any
    start: int
    end: int = 0
    members: list["Member"] = field(default_factory=list)

    def member(self, key: str) -> "Member | None":
        """The member of that name; of several the last, which is the one that counts."""
        return next((member for member in reversed(self.members) if member.key == key), None)


@dataclass(slots=True)
class Member:
    """A key with its value: the key begins at `start`; the comma after it stands at `comma`, if there is one."""

    key: str
    start: int
    node: Node
    comma: int | None = None


def parse(text: str, *, lenient: bool) -> Node:
    """The value in a text; `lenient` allows comments and trailing commas. Raises `TextError`."""
    return _Parser(text, lenient).document()


class _Parser:
    """Reads a text from the left; `at` is where it stands."""

    def __init__(self, text: str, lenient: bool) -> None:
        self.text = text
        self.lenient = lenient
        self.at = 0

    def document(self) -> Node:
        self.skip()
        node = self.value(0)
        self.skip()
        if self.at < len(self.text):
            raise self.wrong("nothing may follow the value")
        return node

    def wrong(self, message: str, at: int | None = None) -> TextError:
        return TextError(message, *place(self.text, self.at if at is None else at))

    def skip(self) -> None:
        """Go past blanks, and past comments where they are allowed."""
        while True:
            self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing, too
            comment = _COMMENT.match(self.text, self.at)
            if comment is None:
                return
            if not self.lenient:
                raise self.wrong("a comment, which this file may not hold")
            self.at = comment.end()

    def value(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.wrong("nested too deeply")
        sign = self.text[self.at : self.at + 1]
        if sign == "{":
            return self.object(depth)
        if sign == "[":
            return self.array(depth)
        node = Node(None, self.at)
        node.value = self.string() if sign == '"' else self.scalar()
        node.end = self.at
        return node

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        try:
            text: str = json.loads(match[0] if match else "")
        except ValueError:
            raise self.wrong("a text that is not well formed") from None
        self.at += len(match[0]) if match else 0
        return text

    def scalar(self) -> Any:
        match = _SCALAR.match(self.text, self.at)
        if match is None:
            raise self.wrong("a value is expected" if self.at < len(self.text) else "the file ends too early")
        self.at = match.end()
        return json.loads(match[0])

    def object(self, depth: int) -> Node:
        node = Node({}, self.at)
        self.at += 1
        self.skip()
        while not self.closes("}", after=node.members[-1].comma if node.members else None):
            member = self.member(depth)
            node.members.append(member)
            node.value[member.key] = member.node.value
            self.skip()
            member.comma = self.comma("}")
        node.end = self.at
        return node

    def member(self, depth: int) -> Member:
        start = self.at
        if self.text[start : start + 1] != '"':
            raise self.wrong("a name in double quotes is expected")
        key = self.string()
        self.skip()
        if self.text[self.at : self.at + 1] != ":":
            raise self.wrong("a colon is expected")
        self.at += 1
        self.skip()
        return Member(key, start, self.value(depth + 1))

    def array(self, depth: int) -> Node:
        node = Node([], self.at)
        self.at += 1
        self.skip()
        comma: int | None = None
        while not self.closes("]", after=comma):
            node.value.append(self.value(depth + 1).value)
            self.skip()
            comma = self.comma("]")
        node.end = self.at
        return node

    def comma(self, closing: str) -> int | None:
        """Where the comma stands that is here; None before the end of a list of things."""
        sign, at = self.text[self.at : self.at + 1], self.at
        if sign != "," and sign != closing:
            raise self.wrong(f"a comma or {closing} is expected")
        if sign != ",":
            return None
        self.at += 1
        self.skip()
        return at

    def closes(self, closing: str, after: int | None) -> bool:
        if self.text[self.at : self.at + 1] != closing:
            return False
        if after is not None and not self.lenient:
            raise self.wrong("a comma before the end, which this file may not hold", after)
        self.at += 1
        return True
