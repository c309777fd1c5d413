"""The phases of an attempt, how long each may take, and what pause, progress and cancel do."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from portbroker.origin import Origin
from tests.upstream.provider import (
    CHUNKED,
    OK,
    Answer,
    Peer,
    answer_to,
    answering,
    ask,
    deaf_port,
    on_every_loop,
    provider,
    quick,
    send,
    transport,
)

SHORT = 0.04


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def stalling(peer: Peer) -> None:
    """Half an answer."""
    await peer.request()
    await peer.send(CHUNKED + b"4\r\nhalf\r\n")
    await peer.gone()


async def dripping(peer: Peer) -> None:
    """A head of which every byte is news, and never the last."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        await peer.send(b"y")
        await asyncio.sleep(SHORT / 10)


async def pinging(peer: Peer) -> None:
    """A stream that is alive, but says nothing."""
    await peer.request()
    await peer.send(CHUNKED)
    while True:
        await peer.send(b"3\r\n: \n\r\n")
        await asyncio.sleep(SHORT / 10)


LATE: dict[str, tuple[Callable[[Peer], Awaitable[None]], dict[str, float], str]] = {
    "no answer": (silent, {"first_byte": SHORT}, "did not begin to answer within 0.04 s"),
    "a head without end": (dripping, {"first_byte": SHORT}, "did not begin to answer within 0.04 s"),
    "a stream that stalls": (stalling, {"idle": SHORT}, "fell silent in the middle of its answer"),
    "a stream of comments": (pinging, {"idle": SHORT}, "fell silent in the middle of its answer"),
    "no end in all": (pinging, {"total": SHORT}, "did not complete its answer within 0.04 s"),
    "no beginning in all": (silent, {"total": SHORT}, "did not complete its answer within 0.04 s"),
}


@on_every_loop
@pytest.mark.parametrize("case", LATE)
async def test_a_phase_that_takes_too_long_fails_and_closes_the_connection(case: str) -> None:
    serve, seconds, words = LATE[case]
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        try:
            await serve(peer)
        finally:
            closed.set()

    async with provider(script) as acme, transport() as upstream:
        start = asyncio.get_running_loop().time()
        error = await (await ask(upstream, acme.origin, timeouts=quick(**seconds))).failure()
        assert asyncio.get_running_loop().time() - start >= SHORT * 0.9
        await closed.wait()
    assert (error.kind, error.retryable, error.provider) == ("timeout", True, "Acme")
    assert words in str(error)
    assert "127.0.0.1" in str(error)


@on_every_loop
async def test_each_attempt_on_a_connection_has_its_own_deadlines() -> None:
    served: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            served.append(1)
            if len(served) < 3:
                await peer.send(OK)

    async with provider(script) as acme, transport() as upstream:
        assert (await ask(upstream, acme.origin, timeouts=quick())).whole
        assert (await ask(upstream, acme.origin, timeouts=quick(first_byte=SHORT))).whole
        answer = await ask(upstream, acme.origin, timeouts=quick(first_byte=SHORT * 2))
        assert "within 0.08 s" in str(await answer.failure())
        assert acme.connections == 1


class Listening(Answer):
    """A sink to which every byte is progress."""

    def data(self, data: bytes) -> None:
        super().data(data)
        assert self.attempt
        self.attempt.progress()


@on_every_loop
async def test_progress_keeps_a_slow_answer_alive() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(8):
            await asyncio.sleep(SHORT / 2)
            await peer.send(b"1\r\nx\r\n")
        await peer.send(b"0\r\n\r\n")

    answer = await answer_to(script, sink=Listening(), timeouts=quick(idle=SHORT * 2))
    assert (answer.body, answer.whole) == (b"x" * 8, True)


@on_every_loop
async def test_a_connection_that_is_never_accepted_times_out() -> None:
    with deaf_port() as port:
        async with transport() as upstream:
            origin = Origin("http", "127.0.0.1", port)
            error = await (await ask(upstream, origin, timeouts=quick(connect=SHORT))).failure()
    assert error.kind == "timeout"
    assert "could not be connected to within 0.04 s" in str(error)


@on_every_loop
async def test_a_tls_handshake_that_stalls_times_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with provider(script) as acme, transport() as upstream:
        origin = Origin("https", "127.0.0.1", acme.origin.port)
        error = await (await ask(upstream, origin, timeouts=quick(connect=0.3))).failure()
    assert error.kind == "timeout"


@on_every_loop
async def test_cancelling_closes_the_connection_and_silences_the_attempt() -> None:
    for serve, begun in ((silent, False), (stalling, True)):
        closed = asyncio.Event()
        asked = asyncio.Event()

        async def script(
            peer: Peer,
            serve: Callable[[Peer], Awaitable[None]] = serve,
            asked: asyncio.Event = asked,
            closed: asyncio.Event = closed,
        ) -> None:
            asked.set()
            try:
                await serve(peer)
            finally:
                closed.set()

        async with provider(script) as acme, transport() as upstream:
            answer = send(upstream, acme.origin)
            await (answer.grown if begun else asked).wait()
            assert answer.attempt
            answer.attempt.cancel()
            await closed.wait()
            assert not answer.done.is_set()
            answer.attempt.cancel()  # once more does nothing
            answer.attempt.pause()
            answer.attempt.resume()
            answer.attempt.progress()


class Sated(Answer):
    """A sink that wants no more, told so from inside one of its own methods."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def head(self, status: int, headers: object) -> None:
        super().head(status, {})
        self._cancel("head")

    def data(self, data: bytes) -> None:
        super().data(data)
        self._cancel("data")

    def end(self) -> None:
        super().end()
        self._cancel("end")

    def _cancel(self, where: str) -> None:
        if where == self.where:
            assert self.attempt
            self.attempt.cancel()


@on_every_loop
@pytest.mark.parametrize("data", [OK, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"])
async def test_a_sink_may_cancel_from_within(data: bytes) -> None:
    async with provider(answering(data)) as acme, transport() as upstream:
        for where, pieces, connections in (("head", [], 1), ("data", [b"{}"], 2), ("end", [b"{}"], 3)):
            sated = Sated(where)
            send(upstream, acme.origin, sink=sated)
            await sated.begun.wait()
            assert sated.pieces == pieces
            assert sated.done.is_set() == (where == "end")
            assert acme.connections == connections
        await ask(upstream, acme.origin)
        assert acme.connections == 3  # an answer that was over needs no closing


class Choked(Answer):
    """A sink that cannot take more after its first piece."""

    def data(self, data: bytes) -> None:
        super().data(data)
        assert self.attempt
        self.attempt.pause()


@on_every_loop
async def test_a_paused_attempt_stops_the_provider_and_takes_nothing() -> None:
    block = bytes(256 * 1024)
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (400 * len(block)))
        for _ in range(400):
            await peer.send(block)
            sent += 1

    async with provider(script) as acme, transport() as upstream:
        choked = Choked()
        send(upstream, acme.origin, sink=choked, timeouts=quick(idle=SHORT))
        await choked.grown.wait()
        before = -1
        while before != sent:  # until the kernel's buffers are full
            before = sent
            await asyncio.sleep(SHORT)
        assert sent < 200
        assert len(choked.pieces) == 1
        assert not choked.done.is_set()  # the client was slow: no reason to give the provider up

        assert choked.attempt
        while not choked.done.is_set():
            choked.attempt.resume()
            await asyncio.sleep(0)
        assert choked.whole
        assert len(choked.body) == 400 * len(block)


@on_every_loop
async def test_the_idle_time_begins_anew_when_reading_goes_on() -> None:
    async with provider(stalling) as acme, transport() as upstream:
        choked = Choked()
        send(upstream, acme.origin, sink=choked, timeouts=quick(idle=SHORT))
        await choked.grown.wait()
        await asyncio.sleep(SHORT * 2)
        assert not choked.done.is_set()
        assert choked.attempt
        choked.attempt.resume()
        assert "fell silent" in str(await choked.failure())


@on_every_loop
async def test_an_attempt_paused_at_its_end_leaves_a_connection_that_reads() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        for _ in range(3):
            assert (await ask(upstream, acme.origin, sink=Choked())).whole
        assert acme.connections == 1


@on_every_loop
async def test_an_attempt_paused_at_the_end_of_its_connection_is_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    for pauses in (0, 1, 3):

        class Wavering(Answer):
            """A sink that changes its mind in the meantime."""

            async def waver(self, pauses: int = pauses) -> None:
                assert self.attempt
                await self.begun.wait()
                for _ in range(pauses):
                    self.attempt.pause()
                    await asyncio.sleep(0)
                    self.attempt.resume()
                    await asyncio.sleep(0)
                await self.done.wait()
                self.attempt.pause()
                self.attempt.resume()

        async with provider(script) as acme, transport() as upstream:
            wavering = Wavering()
            send(upstream, acme.origin, sink=wavering)
            await wavering.waver()
            assert (wavering.body, wavering.whole) == (b"until the end", True)


@on_every_loop
async def test_an_attempt_may_be_paused_while_its_connection_closes() -> None:
    async with provider(stalling) as acme, transport() as upstream:
        answer = send(upstream, acme.origin)
        await answer.grown.wait()
        assert answer.attempt
        connection = next(iter(upstream._pools[acme.origin].connections))
        connection.eof_received()
        for _ in range(3):
            answer.attempt.pause()
            answer.attempt.resume()
            await asyncio.sleep(0)
        await answer.failure()


@on_every_loop
async def test_an_attempt_may_be_paused_before_it_has_a_connection() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        answer = send(upstream, acme.origin)
        assert answer.attempt
        answer.attempt.pause()
        while not acme.connections:
            await asyncio.sleep(0)
        await asyncio.sleep(SHORT)
        assert not answer.status
        answer.attempt.resume()
        await answer.done.wait()
        assert answer.whole


@on_every_loop
async def test_the_sink_hears_nothing_before_send_returns() -> None:
    async with transport() as upstream:
        answer = send(upstream, Origin("http", "127.0.0.1", 1), headers={"authorization": "Bearer sk-x\r\nevil: 1"})
        assert not answer.done.is_set()
        error = await answer.failure()
        assert "line break" in str(error)
        assert "sk-x" not in str(error)
