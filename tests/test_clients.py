"""Connections of clients, on real sockets, in front of a handler that does as it is told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from portbroker import clients
from portbroker.clients import Clients
from portbroker.intake import read_body
from portbroker.request import Request
from portbroker.wire import Reply
from tests.test_hostile import Raw, post
from tests.upstream.provider import on_every_loop

Behave = Callable[[Request, Reply], Awaitable[None]]


class Front:
    """Clients, and the requests that they were asked."""

    def __init__(self, behave: Behave) -> None:
        self.seen: list[str] = []
        self.left = asyncio.Event()
        self._behave = behave
        self.clients = Clients(self._handle, max_body=1000)

    async def _handle(self, request: Request) -> Reply:
        self.seen.append(request.raw_path)
        reply = Reply(request)
        try:
            await self._behave(request, reply)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return reply

    async def reached(self, count: int) -> None:
        """Returns when so many requests have come."""
        async with asyncio.timeout(2):
            while len(self.seen) < count:
                await asyncio.sleep(0)


@asynccontextmanager
async def front(behave: Behave) -> AsyncIterator[tuple[Front, Callable[[], Awaitable[Raw]]]]:
    one = Front(behave)
    server = await asyncio.get_running_loop().create_server(one.clients.connect, "127.0.0.1", 0)
    opened: list[Raw] = []

    async def connect() -> Raw:
        opened.append(Raw(*await asyncio.open_connection(*server.sockets[0].getsockname())))
        return opened[-1]

    try:
        yield one, connect
    finally:
        server.close()
        for raw in opened:
            raw.writer.transport.abort()
        one.clients.hurry()
        await one.clients.end(1)
        async with asyncio.timeout(1):
            while one.clients._open:
                await asyncio.sleep(0)


async def echo(request: Request, reply: Reply) -> None:
    reply.whole(200, {}, await read_body(request) + request.raw_path.encode())


async def refuse(request: Request, reply: Reply) -> None:
    reply.whole(413, {}, b"no")


async def hang(_: Request, __: Reply) -> None:
    await asyncio.get_running_loop().create_future()


@on_every_loop
async def test_a_client_that_goes_on_sending_reads_why_it_was_refused() -> None:
    async with front(refuse) as (_, connect):
        raw = await connect()
        await raw.send(post(b"", length=False, headers=b"content-length: 30000000\r\n"))
        raw.writer.write(b"x" * 20_000_000)  # far more than the sockets hold
        answer = await raw.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (413, b"no", "close")
        assert await raw.rest() == b""


@on_every_loop
async def test_a_client_that_never_stops_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "LINGER", 0.05)
    async with front(refuse) as (one, connect):
        raw = await connect()
        await raw.send(post(b"", length=False, headers=b"content-length: 30000000\r\n"))
        assert (await raw.answer()).status == 413
        async with asyncio.timeout(2):
            while one.clients._open:
                await asyncio.sleep(0.005)


@on_every_loop
async def test_requests_sent_ahead_wait_in_the_socket_and_not_here() -> None:
    go_on = asyncio.Event()

    async def behave(request: Request, reply: Reply) -> None:
        await go_on.wait()
        await echo(request, reply)

    async with front(behave) as (one, connect):
        raw = await connect()
        ahead = [post(b"x" * 900, path=b"/%d" % number) for number in range(20_000)]
        raw.writer.writelines(ahead)
        await one.reached(1)
        for _ in range(200):
            await asyncio.sleep(0)
        (connection,) = one.clients._open
        assert len(connection._requests) < 2000  # what one segment can hold
        go_on.set()
        for number in range(len(ahead)):
            assert (await raw.answer()).body == b"x" * 900 + b"/%d" % number


@on_every_loop
async def test_a_body_that_is_sent_ahead_is_complete_when_its_turn_comes() -> None:
    release = asyncio.Event()

    async def behave(request: Request, reply: Reply) -> None:
        if request.raw_path == "/first":
            await release.wait()
        await echo(request, reply)

    async with front(behave) as (one, connect):
        raw = await connect()
        second = post(b"abcdef", path=b"/second")
        await raw.send(post(b"", path=b"/first") + second[:-4])
        await one.reached(1)
        await raw.send(second[-4:])
        release.set()
        assert [(await raw.answer()).body for _ in range(2)] == [b"/first", b"abcdef/second"]


@on_every_loop
async def test_a_client_that_leaves_ends_the_call_and_those_behind_it() -> None:
    async with front(hang) as (one, connect):
        raw = await connect()
        await raw.send(post(path=b"/first"))
        await one.reached(1)
        raw.writer.transport.abort()
        await asyncio.wait_for(one.left.wait(), 1)
        assert one.seen == ["/first"]


@on_every_loop
async def test_a_fault_of_a_handler_ends_its_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def behave(request: Request, reply: Reply) -> None:
        if request.raw_path == "/fault":
            raise ZeroDivisionError
        await echo(request, reply)

    async with front(behave) as (_, connect):
        broken, sound = await connect(), await connect()
        await broken.send(post(path=b"/fault"))
        assert await broken.rest() == b""
        await sound.send(post(b"a", path=b"/b"))
        assert (await sound.answer()).body == b"a/b"
    assert "a request could not be answered" in caplog.text


@on_every_loop
async def test_an_idle_connection_ends_and_a_busy_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "IDLE", 0.05)
    release = asyncio.Event()

    async def behave(request: Request, reply: Reply) -> None:
        await release.wait()
        await echo(request, reply)

    async with front(behave) as (one, connect):
        idle, busy = await connect(), await connect()
        await busy.send(post(b"a", path=b"/b"))
        assert await idle.rest() == b""
        release.set()
        assert (await busy.answer()).body == b"a/b"
        assert await busy.rest() == b""
        assert one.clients.malformed == 0


@on_every_loop
async def test_an_answer_in_http_1_0_ends_with_its_connection() -> None:
    async def behave(_: Request, reply: Reply) -> None:
        reply.begin(200, {}, b"Hel")
        reply.write(b"lo")
        reply.finish(b"!")

    async with front(behave) as (_, connect):
        raw = await connect()
        await raw.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert b"connection: close" in head
        assert body == b"Hello!"


@on_every_loop
async def test_a_wish_for_another_protocol_leaves_the_connection_as_it_is() -> None:
    async with front(echo) as (_, connect):
        raw = await connect()
        wish = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP\r\n"
        for _ in range(2):
            await raw.send(post(b"abc", path=b"/x", headers=wish))
            answer = await raw.answer()
            assert (answer.status, answer.body, answer.headers.get("connection")) == (200, b"abc/x", None)


@on_every_loop
async def test_a_head_asks_for_the_head_alone() -> None:
    async with front(echo) as (_, connect):
        raw = await connect()
        await raw.send(b"HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n" + post(b"b", path=b"/y"))
        first = await raw.answer(head_only=True)
        assert first.headers["content-length"] == "2"
        assert (await raw.answer()).body == b"b/y"


@on_every_loop
async def test_a_dead_client_is_noticed_by_the_system() -> None:
    async with front(hang) as (one, connect):
        raw = await connect()
        await raw.send(post())
        await one.reached(1)
        (connection,) = one.clients._open
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
