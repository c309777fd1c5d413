"""Members of a JSON object replaced in its bytes, everything else left as it was sent.

The one rule: only valid JSON comes here, already parsed; the bytes are searched, never parsed again.
"""

import re
from typing import Any, Final

import orjson

from portbroker.conversation import Json

Span = tuple[int, int]

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,}\]]++")
_COLON: Final = re.compile(rb"\s*+:\s*+")
_NEXT_KEY: Final = re.compile(rb"[\s,{]*+(?=\")")
_TO_BRACKET: Final = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+', re.DOTALL)

_MODEL_TEXT: Final = re.compile(rb'"model"\s*+:\s*+(?=")')
_ESCAPED_LETTER: Final = re.compile(rb"\\u006")  # an escaped m, o, d, e or l


def with_model(raw: bytes, body: Json, model: str) -> bytes:
    """The body asking for that model; the very same object when it does already."""
    return _replaced(raw, "model", model, _model_spans(raw, body))


def with_member(raw: bytes, body: Json, key: str, value: Any) -> bytes:
    """The body with that top-level member, where it was or else in front."""
    return _replaced(raw, key, value, member_spans(raw, key) if key in body else [])


def member_spans(raw: bytes, key: str) -> list[Span]:
    """Where the values of that top-level key begin and end; more than one when the key is repeated."""
    spans = []
    plain = orjson.dumps(key)
    place = raw.index(b"{")
    while found := _NEXT_KEY.match(raw, place):
        end = _end(_STRING, raw, found.end())
        name = raw[found.end() : end]
        start = _end(_COLON, raw, end)
        place = value_end(raw, start)
        if name == plain or (b"\\" in name and orjson.loads(name) == key):
            spans.append((start, place))
    return spans


def _replaced(raw: bytes, key: str, value: Any, spans: list[Span]) -> bytes:
    new = orjson.dumps(value)
    if not spans:
        return _inserted(raw, orjson.dumps(key) + b":" + new)
    # Of a repeated key one reader takes the first and another the last, so every one of them gets the value.
    for start, end in reversed(spans):
        if raw[start:end] != new:
            raw = b"".join((raw[:start], new, raw[end:]))
    return raw


def _inserted(raw: bytes, member: bytes) -> bytes:
    start = raw.index(b"{") + 1
    comma = b"," if _NEXT_KEY.match(raw, start) else b""
    return b"".join((raw[:start], member, comma, raw[start:]))


def _model_spans(raw: bytes, body: Json) -> list[Span]:
    """Where the model stands: mostly the only text under that key in all the body, so that nothing need be scanned.

    Schemas of tools have properties of that name, but those are objects. What looks like the key inside a string does
    not match, because its quotes are escaped there.
    """
    if "model" not in body:
        return []
    if isinstance(body["model"], str):
        found = [match.end() for match in _MODEL_TEXT.finditer(raw)]
        if len(found) == 1 and not _ESCAPED_LETTER.search(raw):
            return [(found[0], _end(_STRING, raw, found[0]))]
    return member_spans(raw, "model")


def value_end(raw: bytes, start: int) -> int:
    """Where the value that begins at `start` ends."""
    first = raw[start]
    if first == 0x22:  # "
        return _end(_STRING, raw, start)
    return _container_end(raw, start) if first in b"[{" else _end(_SCALAR, raw, start)


def _container_end(raw: bytes, start: int) -> int:
    depth, place = 1, start + 1
    while depth:
        place = _end(_TO_BRACKET, raw, place)
        depth += 1 if raw[place] in b"[{" else -1
        place += 1
    return place


def _end(pattern: re.Pattern[bytes], raw: bytes, place: int) -> int:
    match = pattern.match(raw, place)
    return match.end() if match else place
