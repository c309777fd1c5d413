"""TOML, edited in place, line by line.

The one rule: only what stands on lines of its own is touched; all else is refused.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from portbroker.connect.texts import Path, TextError, newline_of, place

_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_PART = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|\'[^\']*\')'
_DOTTED = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_TABLE = re.compile(rf"[ \t]*\[[ \t]*({_DOTTED})[ \t]*\][ \t]*(?:#.*)?$")
_TABLES = re.compile(r"[ \t]*\[\[.*$")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=[ \t]*")
_QUOTES: Final = ('"""', "'''", '"', "'")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Line:
    """A statement: from `start` to `end` (after its newline). A header has no value; one of many tables no path."""

    path: Path | None
    start: int
    end: int
    value: tuple[int, int] | None = None


class TomlText:
    """TOML."""

    def read(self, text: str) -> Any:
        try:
            return tomllib.loads(text.removeprefix("\ufeff"))
        except tomllib.TOMLDecodeError as error:
            at = _PLACE.search(str(error))
            line, column = (int(at[1]), int(at[2])) if at else place(text, len(text))
            raise TextError(_PLACE.sub("", str(error)).strip(), line, column) from error

    def source(self, text: str, path: Path) -> str | None:
        line = _assignment(text, path)
        return text[slice(*line.value)] if line and line.value else None

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)  # of texts, numbers and lists of them, both write the same

    def put(self, text: str, path: Path, source: str) -> str:
        line = _assignment(text, path)
        if line and line.value:
            return text[: line.value[0]] + source + text[line.value[1] :]
        newline = newline_of(text)
        statement = f"{_name(path[-1])} = {source}{newline}"
        at = _end_of_table(text, path[:-1])
        if at is not None:
            before = _ended(text[:at], newline)
            gap = newline if len(path) == 1 and _header_begins(text[at:]) else ""
            return before + statement + gap + text[at:]
        header = f"[{'.'.join(map(_name, path[:-1]))}]{newline}"
        return _apart(text, newline) + header + statement

    def drop(self, text: str, path: Path) -> str:
        line = _assignment(text, path) or _header(text, path)
        if line is None:
            raise TextError(f"{'.'.join(path)} does not stand on a line of its own")
        before, after = text[: line.start], text[line.end :]
        if line.value is None or (len(path) == 1 and not _top(before) and _header_begins(after.lstrip("\r\n"))):
            # The blank line that was put before a table, or before what follows the first keys, goes with them.
            before = re.sub(r"(?<=\n)\r?\n\Z", "", before)
            after = after if line.value is None else re.sub(r"\A\r?\n", "", after)
        return before + after


def _ended(text: str, newline: str) -> str:
    return text if not text or text.endswith("\n") else text + newline


def _apart(text: str, newline: str) -> str:
    """The text, and a blank line after it."""
    text = _ended(text, newline)
    return text if not text or text.endswith(newline * 2) else text + newline


def _name(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _parts(dotted: str) -> Path:
    """The keys of a dotted one."""
    return tuple(json.loads(part) if part[0] == '"' else part.strip("'") for part in re.findall(_PART, dotted))


def _header_begins(text: str) -> bool:
    return text.lstrip(" \t").startswith("[")


def _top(text: str) -> bool:
    """Whether there is a key before every table."""
    return any(line.value for line in _lines(text))


def _assignment(text: str, path: Path) -> _Line | None:
    return next((line for line in _lines(text) if line.value and line.path == path), None)


def _header(text: str, path: Path) -> _Line | None:
    return next((line for line in _lines(text) if not line.value and line.path == path), None)


def _end_of_table(text: str, path: Path) -> int | None:
    """Where a statement is added to a table: after its last one; None where there is no such table."""
    lines, at, inside = _lines(text), 0 if not path else None, not path
    for line in lines:
        if line.value is None:
            inside = line.path == path
        if inside:
            at = line.end
        elif not path:
            break
    return at


def _lines(text: str) -> list[_Line]:
    """The statements of a text that TOML can read."""
    lines: list[_Line] = []
    at, table = len(text) - len(text.removeprefix("\ufeff")), ()
    known: Path | None = table
    while at < len(text):
        end = _line_end(text, at)
        line = text[at:end].rstrip("\r\n")
        if match := _TABLE.match(line):
            known = _parts(match[1])
            lines.append(_Line(known, at, end))
        elif _TABLES.match(line):
            known = None
            lines.append(_Line(None, at, end))
        elif match := _KEY.match(line):
            begin = at + match.end()
            stop = _value_end(text, begin)
            end = _line_end(text, stop)
            lines.append(_Line(None if known is None else known + _parts(match[1]), at, end, (begin, stop)))
        at = end
    return lines


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _value_end(text: str, at: int) -> int:
    """Where a value ends: strings, and brackets over several lines, are stepped over."""
    depth, end = 0, at
    while at < len(text):
        sign = text[at]
        if quote := next((quote for quote in _QUOTES if text.startswith(quote, at)), None):
            at = end = _string_end(text, at, quote)
            continue
        if sign in "#\n" and not depth:
            break
        if sign == "#":
            at = _line_end(text, at)
            continue
        depth += (sign in "[{") - (sign in "]}")
        at += 1
        if not sign.isspace():
            end = at
    return end


def _string_end(text: str, at: int, quote: str) -> int:
    at += len(quote)
    while at < len(text) and not text.startswith(quote, at):
        at += 2 if text[at] == "\\" and quote[0] == '"' else 1
    at += len(quote)
    while len(quote) == 3 and text.startswith(quote[0], at):  # `""""` ends with a quote of its own
        at += 1
    return min(at, len(text))
