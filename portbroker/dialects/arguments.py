"""Tool calls as peers really write them: arguments to an input object, ids to characters that every API takes.

The one rule: nothing here ever fails. The client's tool validation tells the model what was wrong, and the model
repairs itself; an answer thrown away repairs nothing.
"""

import json
import re
from typing import Any

import orjson

from portbroker.conversation import Json

# orjson writes 254 levels; what stands around an input takes a few of them.
_DEEPEST = 200

_DECODER = json.JSONDecoder(strict=False)
_MARK = re.compile(r"\S")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def parse_arguments(value: object) -> tuple[Json, bool]:
    """The input object that a call's arguments mean, and whether they meant one.

    `value` is what stood in `arguments`: mostly JSON text, from some servers an object already. What is no object
    comes back as `{"_raw_arguments": text}` and False. The object can always be written as JSON again.
    """
    if value is None:
        return {}, True
    if isinstance(value, dict):
        return (value, True) if _writable(value) else _raw(value)
    if not isinstance(value, str):
        return _raw(value)
    parsed = _parse(value)
    return (parsed, True) if parsed is not None else _raw(value)


def clean_id(text: str) -> str:
    """The id with each character that Anthropic refuses replaced; the same id gives the same result."""
    return text if text.isascii() and text.isalnum() else _FOREIGN.sub("_", text)


def _raw(value: object) -> tuple[Json, bool]:
    return {"_raw_arguments": value if isinstance(value, str) else _text(value)}, False


def _text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _parse(text: str) -> Json | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        return _patient(text)
    if isinstance(value, str):
        value = _inner(value)
    if value is None:
        return {} if text.strip() == "null" else None
    shallow = text.count("{") + text.count("[") <= _DEEPEST
    return value if isinstance(value, dict) and (shallow or _writable(value)) else None


def _inner(text: str) -> Json | None:
    """The object that a JSON string holds: some models encode their arguments twice."""
    return _parse(text) if text.lstrip().startswith("{") else None


def _patient(text: str) -> Json | None:
    """The object in text that strict JSON refuses: raw control characters, lone surrogates, objects in a row."""
    found: list[Any] = []
    place = 0
    try:
        while start := _MARK.search(text, place):
            value, place = _DECODER.raw_decode(text, start.start())
            found.append(value)
        return _only(found)
    except (ValueError, RecursionError):
        return None


def _only(found: list[Any]) -> Json | None:
    """The one object that says something: servers send `{}` as a placeholder before the real arguments."""
    if len(found) == 1 and isinstance(found[0], str):
        return _inner(found[0])
    if not all(isinstance(value, dict) for value in found):
        return None
    telling = [value for value in found if value]
    if len(telling) > 1:
        return None
    # The way through text and back leaves nothing that orjson cannot write (NaN raises, and the text is kept raw).
    text = json.dumps(telling[0] if telling else {}, ensure_ascii=False)
    value: Json = orjson.loads(text.encode("utf-8", "replace"))
    return value if _writable(value) else None


def _writable(value: object) -> bool:
    """Whether the value is shallow enough to be written inside a body."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)  # type: ignore[attr-defined]
            if isinstance(child, (dict, list))
        ]
        if not level:
            return True
    return False
