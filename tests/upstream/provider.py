"""A provider on a raw socket that does exactly what a test says, and a sink that remembers what it was told."""

import asyncio
import inspect
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvloop

from portbroker.errors import ProviderError
from portbroker.origin import Origin, Timeouts
from portbroker.upstream import Attempt, HttpUpstream, Limits, UpstreamRequest

PATIENCE = 10  # seconds; only a broken test waits that long
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

_LOOPS = [asyncio.new_event_loop] if sys.platform == "win32" else [asyncio.new_event_loop, uvloop.new_event_loop]


def on_every_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on each event loop that PortBroker runs on; whatever reaches its exception handler fails it."""

    def run(factory: Callable[[], asyncio.AbstractEventLoop], **parameters: Any) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            bugs: list[dict[str, Any]] = []
            runner.get_loop().set_exception_handler(lambda _, context: bugs.append(context))
            runner.run(asyncio.wait_for(test(**parameters), PATIENCE))
            if bugs:
                pytest.fail(f"reported to the loop: {bugs}")

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
    own = inspect.signature(test).parameters.values()
    factory = inspect.Parameter("factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([factory, *own])  # type: ignore[attr-defined]
    marked: Callable[..., None] = pytest.mark.parametrize("factory", _LOOPS, ids=lambda f: f.__module__.split(".")[0])(
        run
    )
    return marked


class Peer:
    """One connection as the provider sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """One whole request: head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head + await self.reader.readexactly(int(line[15:]))
        return head

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError  # uvloop would raise something else
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Return when the other side has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class Provider:
    """A listening provider. `connections` counts those accepted; `requests` holds those read by `serve`."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.origin = Origin("http", "127.0.0.1", 0)


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def provider(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Provider]:
    """A provider that runs `script` on every connection and closes it afterwards."""
    running: set[asyncio.Task[Any]] = set()
    this = Provider()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        running.add(task)
        this.connections += 1
        try:
            await script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side left, or the test is over
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
    this.origin = Origin("https" if tls else "http", host, server.sockets[0].getsockname()[1])
    try:
        yield this
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        while running:
            await asyncio.sleep(0)


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port at which connects get no reply, because its backlog is full."""
    with ExitStack() as sockets:
        deaf = sockets.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            one = sockets.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        yield deaf.getsockname()[1]


def answering(*parts: bytes) -> Script:
    """Answer every request on a connection with these parts, each in its own segment as far as TCP allows."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for part in parts:
                await peer.send(part)
                await asyncio.sleep(0)

    return script


def once(data: bytes) -> Script:
    """Answer one request with these bytes and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    return script


class Answer:
    """A sink that remembers. `done` is set by `end` and `fail`; anything after that is an error of the transport."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []
        self.error: ProviderError | None = None
        self.whole = False
        self.done = asyncio.Event()
        self.begun = asyncio.Event()
        self.grown = asyncio.Event()
        self.attempt: Attempt | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        assert not self.status
        assert not self.done.is_set()
        self.status, self.headers = status, headers
        self.begun.set()

    def data(self, data: bytes) -> None:
        assert self.status
        assert data
        assert not self.done.is_set()
        self.pieces.append(data)
        self.grown.set()

    def end(self) -> None:
        assert self.status
        assert not self.done.is_set()
        self.whole = True
        self.done.set()

    def fail(self, error: ProviderError) -> None:
        assert not self.done.is_set()
        self.error = error
        self.done.set()

    async def failure(self) -> ProviderError:
        await self.done.wait()
        assert self.error, "the answer did not fail"
        return self.error


@asynccontextmanager
async def transport(**limits: Any) -> AsyncIterator[HttpUpstream]:
    upstream = HttpUpstream(limits=Limits(**limits))
    try:
        yield upstream
    finally:
        await upstream.close()


def send(upstream: HttpUpstream, origin: Origin, **how: Any) -> Answer:
    """Begin an attempt; what becomes of it is told to the answer."""
    sink: Answer = how.pop("sink", None) or Answer()
    how = {"target": "/v1/messages", "headers": {}, "body": b"{}", "provider": "Acme"} | how
    sink.attempt = upstream.send(UpstreamRequest(origin, **how), sink)
    return sink


async def ask(upstream: HttpUpstream, origin: Origin, **how: Any) -> Answer:
    """An attempt, when it is over."""
    answer = send(upstream, origin, **how)
    await answer.done.wait()
    return answer


async def answer_to(script: Script, **how: Any) -> Answer:
    """What becomes of one attempt at a provider of its own."""
    limits = how.pop("limits", {})
    async with provider(script) as acme, transport(**limits) as upstream:
        return await ask(upstream, acme.origin, **how)


def quick(**seconds: float) -> Timeouts:
    """Time-outs that never strike but for those given."""
    return Timeouts(**{"connect": 60, "first_byte": 60, "idle": 60, "total": 60} | seconds)
