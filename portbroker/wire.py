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
_JOIN = 16 * 1024
"""Bytes from which on two buffers cost less than a joined copy."""
_LAST_CHUNK = b"0\r\n\r\n"
STALL = 300.0
"""Seconds in which a client that is behind must take something."""
_openings: dict[int, str] = {}
_opened = 0


def _opening(status: int) -> str:
    """The status line, and the time as HTTP writes it; made once a second."""
    global _opened
    now = int(time.time())
    if now != _opened:
        _openings.clear()
        _opened = now
    opening = _openings.get(status)
    if opening is None:
        date = formatdate(now, usegmt=True)
        opening = _openings[status] = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\ndate: {date}\r\n"
    return opening


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
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not self._request.complete:
            self.keep_alive = False  # answered before its body came: what is left of that would be the next request
        if not self.keep_alive:
            framing += "connection: close\r\n"
        elif not self._chunked:
            framing += "connection: keep-alive\r\n"
        return f"{_opening(status)}{lines}{framing}\r\n".encode("latin-1", "replace")

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Head and body in one write; a HEAD request gets the head alone."""
        head = self._head(status, headers, f"content-length: {len(body)}\r\n")
        if self.before_last is not None:
            self.before_last()
        if self._request.method == "HEAD":
            self._send(head)
        elif len(body) < _JOIN:
            self._send(head + body)
        elif not self._transport.is_closing():
            self._transport.writelines((head, body))
        self.finished = True

    def begin(self, status: int, headers: Mapping[str, str], first: bytes) -> None:
        """The head of a stream and what there is of it."""
        if not self._chunked:
            self.keep_alive = False  # the end of the connection is the end of the body
        head = self._head(status, headers, "transfer-encoding: chunked\r\n" if self._chunked else "")
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
