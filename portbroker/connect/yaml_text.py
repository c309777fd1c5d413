"""YAML, edited in place: a mapping of names to plain values, or a list of mappings, each known by one of its keys.

The one rule: only block style is edited, where a value has lines of its own.
"""

import json
from dataclasses import dataclass
from typing import Any

import yaml

from portbroker.connect.texts import Path, TextError, newline_of


def _composed(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise TextError(
            error.problem or "not YAML", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0
        ) from error
    except yaml.YAMLError as error:
        raise TextError(str(error).splitlines()[0]) from error


def _loaded(text: str) -> Any:
    _composed(text)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise TextError(str(error).splitlines()[0]) from error


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _lines_end(text: str, node: yaml.Node) -> int:
    """After the last line of a node; a block that ends with its newline already ends there."""
    end = node.end_mark.index
    while end > node.start_mark.index and text[end - 1] in " \t\r\n":
        end -= 1
    end = text.find("\n", end)
    return len(text) if end < 0 else end + 1


def _appended(text: str, lines: str) -> str:
    return text + (newline_of(text) if text and not text.endswith("\n") else "") + lines


class YamlText:
    """A mapping whose keys are at the margin."""

    def read(self, text: str) -> Any:
        values = _loaded(text)
        if values is not None and not isinstance(values, dict):
            raise TextError("names with values are expected", 1, 1)
        return values or {}

    def source(self, text: str, path: Path) -> str | None:
        pair = self._pair(text, path)
        return text[pair[1].start_mark.index : pair[1].end_mark.index] if pair else None

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)  # in quotes: never a number, a date or a yes

    def put(self, text: str, path: Path, source: str) -> str:
        if pair := self._pair(text, path):
            start, end = pair[1].start_mark.index, pair[1].end_mark.index
            return text[:start] + source + text[end:]
        return _appended(text, f"{path[0]}: {source}{newline_of(text)}")

    def drop(self, text: str, path: Path) -> str:
        pair = self._pair(text, path)
        assert pair is not None
        return text[: _line_start(text, pair[0].start_mark.index)] + text[_lines_end(text, pair[1]) :]

    def _pair(self, text: str, path: Path) -> tuple[yaml.Node, yaml.Node] | None:
        root = _composed(text)
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        return next((pair for pair in reversed(pairs) if pair[0].value == path[0]), None)


@dataclass(frozen=True, slots=True)
class YamlItems:
    """A list of mappings, read as one mapping of them by their `key`; a path is the value of that key."""

    key: str

    def read(self, text: str) -> Any:
        values = _loaded(text)
        if values is not None and not (isinstance(values, list) and all(isinstance(item, dict) for item in values)):
            raise TextError("a list of entries is expected", 1, 1)
        return {str(item.get(self.key)): item for item in values or []}

    def source(self, text: str, path: Path) -> str | None:
        span = self._span(text, path)
        return text[slice(*span)] if span else None

    def write(self, value: Any) -> str:
        lines = [f"{key}: {json.dumps(inner, ensure_ascii=False)}" for key, inner in value.items()]
        return "- " + "\n  ".join(lines) + "\n"

    def put(self, text: str, path: Path, source: str) -> str:
        if span := self._span(text, path):
            return text[: span[0]] + source + text[span[1] :]
        root = _composed(text)
        indent = " " * root.start_mark.column if root else ""
        newline = newline_of(text)
        return _appended(text, "".join(f"{indent}{line}{newline}" for line in source.splitlines()))

    def drop(self, text: str, path: Path) -> str:
        span = self._span(text, path)
        assert span is not None
        return text[: span[0]] + text[span[1] :]

    def _span(self, text: str, path: Path) -> tuple[int, int] | None:
        """The lines of an entry."""
        root = _composed(text)
        for item in root.value if isinstance(root, yaml.SequenceNode) else []:
            if {pair[0].value: pair[1].value for pair in item.value}.get(self.key) == path[0]:
                return _line_start(text, item.start_mark.index), _lines_end(text, item)
        return None
