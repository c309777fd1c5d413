"""The client's side of the connection: whole answers and streams as bytes on its transport.

The one rule: every write is one call on the transport, made from wherever the bytes come up; no task wakes for it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

from portbroker.request import Request

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
_LONGEST = 512
_LAST_CHUNK = b"0\r\n\r\n"
STALL = 300.0
"""Seconds in which a client that is behind must take something."""
_date = (0, "")


def http_date() -> str:
    """Now, as HTTP writes it; made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]


def visible(text: str) -> str:
    """`text` as a header value: printable ASCII, anything else as `?`, cut. Nothing a client sends can end a header."""
    text = text[:_LONGEST]
    return text if text.isascii() and text.isprintable() else "".join(c if " " <= c <= "~" else "?" for c in text)


class Reply:
    """The answer to one request.

    Use `whole` once, or `begin`, any number of `write` and `finish`.
    """

    __slots__ = (
        "_chunked", "_client", "_request", "_transport", "before_last", "begun", "finished", "keep_alive", "status",
    )  # fmt: skip

    def __init__(self, request: Request) -> None:
        self._request = request
        self._client = request.client
        self._transport = request.client.transport
        self._chunked = request.chunks
        self.keep_alive = request.keep_alive
        self.status = 0
        self.begun = False
        self.finished = False
        self.before_last: Callable[[], None] | None = None
        """Called before the last of the answer goes out, once its status is known."""

    def _head(self, status: int, headers: Mapping[str, str], framing: str) -> bytes:
        self.status = status
        self.begun = True
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}", f"date: {http_date()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if framing:
            lines.append(framing)
        if not self._request.complete:
            self.keep_alive = False  # answered before its body came: what is left of that would be the next request
        if not self.keep_alive:
            lines.append("connection: close")
        elif not self._chunked:
            lines.append("connection: keep-alive")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1", "replace")

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Head and body in one write; a HEAD request gets the head alone."""
        head = self._head(status, headers, f"content-length: {len(body)}")
        if self.before_last is not None:
            self.before_last()
        self._send(head if self._request.method == "HEAD" else head + body)
        self.finished = True

    def begin(self, status: int, headers: Mapping[str, str], first: bytes) -> None:
        """The head of a stream and what there is of it."""
        if not self._chunked:
            self.keep_alive = False  # the end of the connection is the end of the body
        head = self._head(status, headers, "transfer-encoding: chunked" if self._chunked else "")
        self._send(head + self._framed(first))

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data

    def write(self, data: bytes) -> None:
        """More of the stream, in one segment."""
        # As `_send(_framed(data))` would: this runs for every event of every stream.
        transport = self._transport
        if not transport.is_closing():
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data)

    def finish(self, last: bytes = b"") -> None:
        """The end of the stream, with the last of it."""
        if not self.finished:
            self.finished = True
            if self.before_last is not None:
                self.before_last()
            self._send(self._framed(last) + (_LAST_CHUNK if self._chunked else b""))

    def break_off(self) -> None:
        """The end of an answer that must not look whole: the connection with it."""
        if not self.finished:
            self.finished = True
            self.keep_alive = False
            if self.before_last is not None:
                self.before_last()
            self._transport.abort()

    @property
    def full(self) -> bool:
        """Whether the client reads more slowly than we write."""
        return self._client.writing_paused

    async def drained(self) -> None:
        """Returns when the client has caught up. Raises ConnectionError when it has gone, or takes nothing any more."""
        watch = _Watch(self._transport) if self.full else None
        try:
            await self._client.drained()
        finally:
            if watch is not None:
                watch.end()


class _Watch:
    """Ends the connection of a client that takes nothing: its answer must not stay in memory for ever."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left = transport.get_write_buffer_size() + 1
        self._look()

    def _look(self) -> None:
        before, self._left = self._left, self._transport.get_write_buffer_size()
        if self._left >= before:
            self._transport.abort()
        self._timer = asyncio.get_running_loop().call_later(STALL, self._look)

    def end(self) -> None:
        self._timer.cancel()
