"""Which connection serves, how many there are, who waits, and what happens when one was dead all along."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from portbroker.origin import Origin
from portbroker.upstream import Attempt, HttpUpstream, Sink, UpstreamRequest
from tests.upstream.provider import (
    CHUNKED,
    OK,
    Answer,
    Peer,
    answering,
    ask,
    on_every_loop,
    provider,
    quick,
    send,
    transport,
)


def port_of(peer: Peer) -> int:
    port: int = peer.writer.get_extra_info("peername")[1]
    return port


class Desk:
    """Requests lie here, in the order they came, until the test answers them."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[tuple[bytes, Peer]] = asyncio.Queue()
        self.gone = asyncio.Semaphore(0)

    async def script(self, peer: Peer) -> None:
        try:
            while True:
                self.waiting.put_nowait((await peer.request(), peer))
        finally:
            self.gone.release()


@on_every_loop
async def test_a_connection_serves_again() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        for _ in range(5):
            assert (await ask(upstream, acme.origin)).whole
        assert acme.connections == 1


@on_every_loop
async def test_a_request_on_an_idle_connection_is_written_at_once() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport() as upstream:
        first = send(upstream, acme.origin)
        _, peer = await desk.waiting.get()
        await peer.send(OK)
        await first.done.wait()
        before = asyncio.all_tasks()
        send(upstream, acme.origin, body=b"second")
        assert asyncio.all_tasks() == before
        request, _ = await desk.waiting.get()
        assert request.endswith(b"second")
        assert acme.connections == 1


@on_every_loop
async def test_the_last_connection_used_is_the_first_used_again() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport() as upstream:
        answers = [send(upstream, acme.origin) for _ in range(3)]
        peers = [(await desk.waiting.get())[1] for _ in answers]
        for peer in peers:
            done = [answer.done.is_set() for answer in answers].count(True)
            await peer.send(OK)
            while [answer.done.is_set() for answer in answers].count(True) == done:
                await asyncio.sleep(0)
        send(upstream, acme.origin)
        assert port_of((await desk.waiting.get())[1]) == port_of(peers[-1])


@on_every_loop
async def test_attempts_beyond_the_limit_are_served_in_the_order_they_came() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport(connections=1) as upstream:
        answers = [send(upstream, acme.origin, body=b"%d" % i) for i in range(8)]
        order = []
        for i in range(8):
            request, peer = await desk.waiting.get()
            order.append(int(request[-1:]))
            # A slot that falls free by a lost connection is the next one's, too.
            await peer.send(b"no HTTP" if i == 3 else OK)
        await asyncio.gather(*(answer.done.wait() for answer in answers))
        assert order == list(range(8))
        assert acme.connections == 2
        assert [answer.whole for answer in answers].count(False) == 1


@on_every_loop
async def test_an_attempt_that_left_the_queue_is_passed_over() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport(connections=1) as upstream:
        first, second, third = (send(upstream, acme.origin, body=b"%d" % i) for i in range(3))
        _, peer = await desk.waiting.get()
        assert second.attempt
        second.attempt.cancel()
        await peer.send(OK)
        await first.done.wait()
        request, _ = await desk.waiting.get()
        assert request.endswith(b"2")
        await peer.send(OK)
        await third.done.wait()
        assert not second.done.is_set()


@on_every_loop
async def test_the_wait_for_a_free_connection_ends() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport(connections=1) as upstream:
        send(upstream, acme.origin)
        await desk.waiting.get()
        error = await (await ask(upstream, acme.origin, timeouts=quick(connect=0.02))).failure()
        assert error.kind == "timeout"
        assert "no free connection" in str(error)


@on_every_loop
async def test_a_refused_connection_gives_its_slot_back() -> None:
    async with provider(answering(OK)) as acme:
        dead = acme.origin
    async with transport(connections=1) as upstream:
        answers = [send(upstream, dead) for _ in range(5)]
        for answer in answers:
            error = await answer.failure()
            assert str(error) == f"Acme (127.0.0.1:{dead.port}) cannot be reached: connection refused"
            assert (error.kind, error.retryable) == ("api", True)


@on_every_loop
async def test_a_cancelled_connect_gives_its_slot_back() -> None:
    async with provider(answering(OK)) as acme, transport(connections=1) as upstream:
        for turns in range(6):  # before the task begins, while it resolves, while it connects...
            answer = send(upstream, acme.origin)
            for _ in range(turns):
                await asyncio.sleep(0)
            assert answer.attempt
            answer.attempt.cancel()
        assert (await ask(upstream, acme.origin)).whole


@on_every_loop
async def test_a_connection_made_too_late_to_be_stopped_serves_the_next() -> None:
    async with provider(answering(OK)) as acme, transport(connections=1) as upstream:
        loop = asyncio.get_running_loop()
        really = loop.getaddrinfo

        async def stubborn(*where: Any, **how: Any) -> Any:
            loop.getaddrinfo = really  # type: ignore[method-assign]
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            return await really(*where, **how)

        loop.getaddrinfo = stubborn  # type: ignore[method-assign]
        answer = send(upstream, acme.origin)
        await asyncio.sleep(0)
        assert answer.attempt
        answer.attempt.cancel()
        assert (await ask(upstream, acme.origin)).whole
        assert acme.connections == 1
        assert not answer.done.is_set()


@on_every_loop
async def test_connections_beyond_the_idle_limit_close() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport(idle_connections=1) as upstream:
        answers = [send(upstream, acme.origin) for _ in range(3)]
        peers = [(await desk.waiting.get())[1] for _ in answers]
        for peer in peers:
            await peer.send(OK)
        await desk.gone.acquire()
        await desk.gone.acquire()
        assert desk.gone.locked()
        assert all([(await answer.done.wait()) and answer.whole for answer in answers])


@on_every_loop
async def test_an_idle_connection_expires() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport(idle_seconds=0.02) as upstream:
        for connections in (1, 2):
            answer = send(upstream, acme.origin)
            _, peer = await desk.waiting.get()
            await peer.send(OK)
            await answer.done.wait()
            await desk.gone.acquire()
            assert acme.connections == connections


@on_every_loop
async def test_an_answer_that_says_close_is_the_last_on_its_connection() -> None:
    for head in (b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
        async with provider(answering(head + b"content-length: 2\r\n\r\n{}")) as acme, transport() as upstream:
            assert (await ask(upstream, acme.origin)).whole
            assert (await ask(upstream, acme.origin)).whole
            assert acme.connections == 2


class Hasty(Answer):
    """A sink that asks again as soon as it has its answer."""

    def __init__(self, upstream: HttpUpstream, origin: Origin) -> None:
        super().__init__()
        self.upstream, self.origin = upstream, origin
        self.next: Answer | None = None

    def end(self) -> None:
        super().end()
        self.next = send(self.upstream, self.origin)


@on_every_loop
async def test_a_connection_is_free_before_its_answer_is_reported_as_over() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        hasty = Hasty(upstream, acme.origin)
        await ask(upstream, acme.origin, sink=hasty)
        assert hasty.next
        await hasty.next.done.wait()
        assert acme.connections == 1


class Stale:
    """A provider whose connections die when they are used a second time."""

    def __init__(self, part: bytes = b"", *, reset: bool = False, later: bytes = OK) -> None:
        self.part, self.reset, self.later = part, reset, later
        self.requests: list[bytes] = []
        self.connections = 0

    async def script(self, peer: Peer) -> None:
        self.connections += 1
        self.requests.append(await peer.request())
        await peer.send(OK if self.connections == 1 else self.later)
        self.requests.append(await peer.request())
        await peer.send(self.part)
        if self.reset:
            peer.reset()


@on_every_loop
async def test_a_stale_connection_is_replaced_unseen() -> None:
    for reset in (False, True):
        stale = Stale(reset=reset)
        async with provider(stale.script) as acme, transport() as upstream:
            await ask(upstream, acme.origin, body=b"one")
            answer = await ask(upstream, acme.origin, body=b"two")
            assert (answer.body, answer.whole) == (b"{}", True)
            assert [request[-3:] for request in stale.requests] == [b"one", b"two", b"two"]


@on_every_loop
async def test_a_connection_closed_while_idle_is_not_used() -> None:
    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.send(OK)

    requests: list[bytes] = []
    async with provider(script) as acme, transport() as upstream:
        for _ in range(20):
            assert (await ask(upstream, acme.origin)).whole
        assert len(requests) == 20


@on_every_loop
async def test_a_fresh_connection_that_dies_is_not_replaced() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with provider(script) as acme, transport() as upstream:
        assert "without answering" in str(await (await ask(upstream, acme.origin)).failure())
        assert acme.connections == 1


@on_every_loop
async def test_a_stale_connection_is_replaced_only_once() -> None:
    stale = Stale(later=b"")
    async with provider(stale.script) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        answer = send(upstream, acme.origin, timeouts=quick(first_byte=0.05))
        assert (await answer.failure()).kind == "timeout"
        assert len(stale.requests) == 3

    class Twice(Stale):
        async def script(self, peer: Peer) -> None:
            self.connections += 1
            self.requests.append(await peer.request())
            if self.connections == 1:
                await peer.send(OK)
                self.requests.append(await peer.request())

    twice = Twice()
    async with provider(twice.script) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        assert "without answering" in str(await (await ask(upstream, acme.origin)).failure())
        assert twice.connections == 2


@on_every_loop
async def test_nothing_is_sent_again_after_a_byte_of_the_answer() -> None:
    for part in (b"H", b"HTTP/1.1 100 Continue\r\n\r\n", CHUNKED):
        stale = Stale(part)
        async with provider(stale.script) as acme, transport() as upstream:
            await ask(upstream, acme.origin)
            await (await ask(upstream, acme.origin)).failure()
            assert stale.connections == 1


@on_every_loop
async def test_replacing_a_stale_connection_goes_before_the_queue() -> None:
    stale = Stale()
    async with provider(stale.script) as acme, transport(connections=1) as upstream:
        await ask(upstream, acme.origin)
        answers = [send(upstream, acme.origin, body=body) for body in (b"two", b"six")]
        await asyncio.gather(*(answer.done.wait() for answer in answers))
        assert [request[-3:] for request in stale.requests[1:3]] == [b"two", b"two"]
        assert answers[0].whole


@on_every_loop
async def test_a_cancelled_attempt_is_not_sent_again() -> None:
    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.send(OK)
        requests.append(await peer.request())
        second.set()
        await peer.gone()

    requests: list[bytes] = []
    second = asyncio.Event()
    async with provider(script) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        answer = send(upstream, acme.origin)
        await second.wait()
        assert answer.attempt
        answer.attempt.cancel()
        await ask(upstream, acme.origin)
        assert len(requests) == 3
        assert not answer.done.is_set()


@on_every_loop
async def test_origins_do_not_share_connections() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        other = Origin("http", acme.origin.host, acme.origin.port, client_cert="other.pem")
        await ask(upstream, other)
        assert acme.connections == 2


@on_every_loop
async def test_an_origin_that_left_the_configuration_closes_when_its_last_answer_ends() -> None:
    desk = Desk()
    async with provider(desk.script) as acme, transport() as upstream:
        answers = [send(upstream, acme.origin) for _ in range(2)]
        (_, early), (_, late) = [await desk.waiting.get() for _ in answers]
        await early.send(OK)
        while not any(answer.done.is_set() for answer in answers):
            await asyncio.sleep(0)
        upstream.keep([])
        await desk.gone.acquire()  # the idle one
        await late.send(OK)
        await asyncio.gather(*(answer.done.wait() for answer in answers))
        assert all(answer.whole for answer in answers)
        await desk.gone.acquire()
        while upstream._pools:
            await asyncio.sleep(0)


@on_every_loop
async def test_an_origin_that_stays_keeps_its_connections() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        upstream.keep([Origin("http", "127.0.0.1", acme.origin.port)])
        await ask(upstream, acme.origin)
        assert acme.connections == 1


@on_every_loop
async def test_closing_ends_everything() -> None:
    desk = Desk()
    async with provider(desk.script) as acme:
        upstream = HttpUpstream()
        idle = send(upstream, acme.origin)
        await (await desk.waiting.get())[1].send(OK)
        await idle.done.wait()
        running, queued = send(upstream, acme.origin), send(upstream, acme.origin)
        await desk.waiting.get()
        await upstream.close()
        late = send(upstream, acme.origin)
        for answer in (running, queued, late):
            assert "the gateway is stopping" in str(await answer.failure())
        await upstream.close()


class Echo:
    """An upstream inside the process."""

    closed = False
    sent_at = 0.0

    def send(self, request: UpstreamRequest, sink: Sink) -> Attempt:
        loop = asyncio.get_running_loop()
        loop.call_soon(sink.head, 200, {})
        loop.call_soon(sink.data, request.body)
        loop.call_soon(sink.end)
        return self

    async def close(self) -> None:
        self.closed = True

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def progress(self) -> None: ...
    def cancel(self) -> None: ...


@on_every_loop
async def test_a_local_scheme_is_answered_inside_the_process() -> None:
    echo = Echo()
    local: Mapping[str, Echo] = {"demo": echo}
    upstream = HttpUpstream(local=local)
    answer = await ask(upstream, Origin("demo", "", 0), body=b"hello")
    assert (answer.body, answer.whole) == (b"hello", True)
    await upstream.close()
    assert echo.closed
