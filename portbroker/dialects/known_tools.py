"""Request bodies parsed without reading again what agents repeat: the same tools, half of a body, with every call.

The one rule: what comes out is what `orjson.loads` would give, for any bytes at all; what is remembered is bounded.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from random import getrandbits
from typing import Any, Final

import orjson

from portbroker.conversation import Lasting
from portbroker.dialects.splice import value_end

_KEY: Final = b'"tools"'
_OPENING: Final = re.compile(rb'"tools"\s{0,8}+:\s{0,8}+(?=\[)')
_SMALL: Final = 8 * 1024
"""Bytes of a body that is parsed sooner than looked at."""
_HEAD: Final = 128
_VARIANTS: Final = 4
"""Tools that begin alike, as those of one agent with and without a plug-in do."""


@dataclass(frozen=True, slots=True)
class _Tools:
    text: bytes
    """The key, what stands between, and the value."""
    gap: int
    """The bytes before the value."""
    value: Lasting


class KnownTools:
    """The tools of the last calls: at most `most` kinds of them, and `size` bytes."""

    def __init__(self, most: int = 32, size: int = 1024 * 1024) -> None:
        self._most, self._size = most, size
        self._known: OrderedDict[bytes, list[_Tools]] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._held = 0
        # What stands for known tools while the rest is parsed: no client can send it on purpose.
        self._mark = getrandbits(62)
        self._marked = b"%d" % self._mark

    def loads(self, raw: bytes) -> Any:
        """What `orjson.loads` gives; tools that are the same bytes as those of an earlier call are the very same list.

        Raises `orjson.JSONDecodeError`.
        """
        if len(raw) < _SMALL or (start := raw.rfind(_KEY)) < 0:
            return orjson.loads(raw)
        head = raw[start : start + _HEAD]
        for tools in self._known.get(head, ()):
            if raw.startswith(tools.text, start) and (body := self._with(tools, raw, start)) is not None:
                self._known.move_to_end(head)
                return body
        body = orjson.loads(raw)
        if isinstance(body, dict):
            self._notice(body.get("tools"), raw, start)
        return body

    def _with(self, tools: _Tools, raw: bytes, start: int) -> Any:
        """The body with these tools, of which only the rest is parsed; None where they are not the body's own.

        Their key closes any string that it could stand in, so they are a value wherever the rest is JSON; and only at
        the top, and last of all that is called so, the mark comes out under their name.
        """
        try:
            body = orjson.loads(b"".join((raw[: start + tools.gap], self._marked, raw[start + len(tools.text) :])))
        except orjson.JSONDecodeError:
            return None  # to be told where in the whole body
        if not isinstance(body, dict) or body.get("tools") != self._mark:
            return None
        body["tools"] = tools.value
        return body

    def _notice(self, value: Any, raw: bytes, start: int) -> None:
        """Remember tools that come for the second time: to find their end costs more than to parse them."""
        opening = _OPENING.match(raw, start)
        if opening is None or not isinstance(value, list) or not self._came_before(value):
            return
        text = raw[start : value_end(raw, opening.end())]
        tools = _Tools(text, opening.end() - start, Lasting(value))
        if len(text) <= self._size // _VARIANTS and self._with(tools, raw, start) is not None:
            self._keep(raw[start : start + _HEAD], tools)

    def _came_before(self, value: list[Any]) -> bool:
        try:
            name = hash(orjson.dumps(value))
        except orjson.JSONEncodeError:
            return False  # nested too deeply to be written
        if name in self._seen:
            return True
        self._seen[name] = None
        if len(self._seen) > 8 * self._most:
            self._seen.popitem(last=False)
        return False

    def _keep(self, head: bytes, tools: _Tools) -> None:
        variants = self._known.setdefault(head, [])
        self._known.move_to_end(head)
        variants.insert(0, tools)
        self._held += len(tools.text)
        if len(variants) > _VARIANTS:
            self._held -= len(variants.pop().text)
        while len(self._known) > self._most or self._held > self._size:
            _, gone = self._known.popitem(last=False)
            self._held -= sum(len(one.text) for one in gone)
