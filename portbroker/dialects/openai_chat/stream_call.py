"""One tool call of a chat stream while its arguments arrive.

The one rule: the arguments go out as they came. What changes is only what no client could read: line ends inside a
string, and arguments that are no object at all.
"""

import json
import re

import orjson

from portbroker.dialects.arguments import parse_arguments

_MARK = re.compile(r'\\(?:.|\Z)|["\x00-\x1f]', re.DOTALL)


class Call:
    """One call: what was said of it, and how many `parts` of its arguments went out (`told`).

    `head` is the first visible character of the arguments, `place` counts the calls of the answer, `use_id` is the id
    that the client sees.
    """

    __slots__ = (
        "_escaped", "_quoted", "custom", "head", "id", "index", "name", "parts", "place", "signature", "told", "use_id",
    )  # fmt: skip

    def __init__(self, index: int | None, place: int) -> None:
        self.index = index
        self.place = place
        self.id = ""
        self.name = ""
        self.signature = ""
        self.use_id = ""
        self.custom = False
        self.parts: list[str] = []
        self.told = 0
        self.head = ""
        self._quoted = False  # the arguments so far end inside a string
        self._escaped = False  # and with a backslash

    def quote(self, piece: str) -> str:
        """A piece of a custom tool's free text as a piece of arguments: an object with one string."""
        begun, self.custom = self.custom, True
        return _inside(piece) if begun else '{"input":"' + _inside(piece)

    def add(self, piece: str) -> None:
        """Keep a piece of the arguments. A placeholder `{}` gives way to the real ones."""
        if not piece:
            return
        if piece[0] == "{" and self._is_placeholder():
            self.parts.clear()
        self.head = self.head or piece.lstrip()[:1]
        self.parts.append(self._escape(piece))

    def _escape(self, piece: str) -> str:
        """The piece with control characters inside strings escaped: raw ones end a client's parser, and its stream."""
        start = int(self._escaped)
        self._escaped = False
        return piece[:start] + _MARK.sub(self._mark, piece[start:])

    def _mark(self, match: re.Match[str]) -> str:
        mark = match[0]
        if mark == '"':
            self._quoted = not self._quoted
        elif mark[0] == "\\":
            self._escaped = len(mark) == 1
        elif self._quoted:
            return _inside(mark)
        return mark

    def _is_placeholder(self) -> bool:
        return not self.told and len(self.parts) <= 2 and self.arguments() == "{}"

    def arguments(self) -> str:
        """All arguments so far."""
        if len(self.parts) > 1 and not self.told:
            self.parts = ["".join(self.parts)]
        return "".join(self.parts)

    def complete(self) -> bool:
        """Whether the arguments are a whole object."""
        return bool(self.parts) and self.parts[-1].rstrip()[-1:] in ("}", "") and _is_object(self.arguments())

    def valid(self) -> bool:
        """Whether the arguments can be read as an object."""
        return _is_object(self.arguments()) if self.told else parse_arguments(self.arguments())[1]

    def ready(self) -> str:
        """What can go out now and has not. Held back: a placeholder, and what does not begin as an object."""
        if not self.told and (self.head != "{" or self._is_placeholder()):
            return ""
        text = "".join(self.parts[self.told :])
        self.told = len(self.parts)
        return text

    def rest(self, cut: bool) -> str:
        """What is still to go out when the call ends. `cut`: the answer was, so the arguments may be unfinished."""
        if self.told:
            return self.ready()
        text = self.arguments()
        if _is_object(text):
            return text
        parsed, valid = parse_arguments(text)
        return text if cut and not valid else _compact(parsed)


def arguments_piece(arguments: object) -> str:
    """The piece of arguments in a delta, as text; some servers send the object itself."""
    if isinstance(arguments, str):
        return arguments
    try:
        return _compact(arguments) if isinstance(arguments, dict | list) else ""
    except RecursionError:  # nested deeper than a client could be sent
        return ""


def _is_object(text: str) -> bool:
    try:
        return text.rstrip()[-1:] == "}" and isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _inside(text: str) -> str:
    """The text as the inside of a JSON string."""
    return _compact(text)[1:-1]


def _compact(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or too deep
        return json.dumps(value, separators=(",", ":"))
