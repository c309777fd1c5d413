"""Providers that break the rules of HTTP, which a polite server could not be made to do: raw sockets and scripts."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

Script = Callable[["Wire"], Awaitable[None]]


class Wire:
    """One connection, as the provider sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> bytes:
        """A whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        return head + await self.reader.readexactly(length)

    async def send(self, *pieces: bytes) -> None:
        """Each piece in a segment of its own, as far as TCP lets us say."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Returns when the gateway has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class WireProvider:
    """Where the provider is, and what it has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()


@contextlib.asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[WireProvider]:
    """A provider that runs `script` on every connection, and closes it afterwards."""
    this = WireProvider()
    tasks: set[asyncio.Task[None]] = set()

    class Counted(Wire):
        async def request(self) -> bytes:
            raw = await super().request()
            this.requests.append(raw)
            this.asked.set()
            return raw

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        this.connections += 1
        this.open += 1
        try:
            await script(Counted(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the gateway left, or the test is over
        finally:
            this.open -= 1
            this.left.set()
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**22, ssl=tls)
    this.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield this
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        while tasks:
            await asyncio.sleep(0)


def says(*pieces: bytes, then: str = "close") -> Script:
    """Reads one request and sends these bytes; then it closes, resets (`reset`) or stays (`hang`)."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(*pieces)
        if then == "reset":
            wire.reset()
        elif then == "hang":
            await wire.gone()

    return script


def response(
    body: bytes, status: str = "200 OK", kind: str = "application/json", headers: bytes = b"", length: int | None = None
) -> bytes:
    """A whole answer as bytes; `length` may lie."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\n".encode()
    return head + headers + b"\r\n" + body


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"
