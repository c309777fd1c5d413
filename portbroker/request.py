"""One request of a client: its head, and its body as it comes.

The one rule: names of headers are in lower case, and the values of one name are one value, joined by a comma.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl


class BodyError(Exception):
    """The body is not framed as HTTP says."""


class Client(Protocol):
    """The connection that a request came by, and its answer goes out by."""

    transport: asyncio.Transport
    writing_paused: bool
    """It takes no more for now: what is written stays in memory."""

    async def drained(self) -> None:
        """Returns when it has caught up. Raises `ConnectionError` when it has gone."""


class Request:
    """What a client asks. `raw_path` is path and query as they came, `length` what the head says of the body's."""

    __slots__ = (
        "_broken", "_pieces", "_waiting", "chunks", "client", "complete", "headers", "keep_alive", "length", "max_body",
        "method", "raw_path",
    )  # fmt: skip

    def __init__(self, client: Client, method: str, raw_path: str, headers: Mapping[str, str]) -> None:
        self.client = client
        self.method = method
        self.raw_path = raw_path
        self.headers = headers
        self.length: int | None = None
        self.chunks = True
        """Whether the client understands an answer in chunks: not before HTTP/1.1."""
        self.keep_alive = False
        self.max_body = 0
        self.complete = False
        """The whole body is here."""
        self._pieces: list[bytes] = []
        self._broken = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """The query by name; of several values the first."""
        return dict(reversed(parse_qsl(self.raw_path.partition("?")[2], keep_blank_values=True)))

    @property
    def remote(self) -> str:
        """The address that the client calls from; empty where it has none."""
        peer = self.client.transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    # what the connection tells

    def feed(self, pieces: list[bytes]) -> None:
        """More of the body; the list is the caller's own."""
        self._pieces += pieces
        self._rouse()

    def end(self, pieces: list[bytes]) -> None:
        """The last of the body."""
        self._pieces += pieces
        self.complete = True
        self._rouse()

    def break_off(self) -> None:
        """What follows is no body, and nothing else either."""
        self._broken = True
        self._rouse()

    def _rouse(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # what reads the body

    def taken(self) -> bytes:
        """What has come of the body since this was asked last; of one piece, as nearly always, without a copy."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    async def more(self) -> bytes:
        """More of the body, b"" at its end. Raises `BodyError` when it breaks off."""
        while not self._pieces and not self.complete:
            if self._broken:
                raise BodyError
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self.taken()
