"""What becomes of everything that a provider may send: right, cut, too much, or not HTTP at all."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Mapping
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.errors import ProviderError
from portbroker.origin import Origin
from portbroker.upstream import Limits, UpstreamRequest
from portbroker.upstream.attempt import HttpAttempt
from portbroker.upstream.connection import Connection
from portbroker.upstream.dialing import Dialer
from portbroker.upstream.pool import Pool
from tests.upstream.provider import (
    CHUNKED,
    OK,
    Answer,
    Peer,
    answer_to,
    answering,
    ask,
    on_every_loop,
    once,
    provider,
    send,
    transport,
)

STREAM = CHUNKED + b"5\r\nfirst\r\n" + b"8;ext=1\r\n, second\r\n" + b"0\r\nx-trailer: 1\r\n\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"


def reply(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", body])


@on_every_loop
async def test_an_answer_of_known_length_is_handed_over_whole() -> None:
    answer = await answer_to(answering(reply(b"Content-Length: 5", b"X-A: 1", b"x-a:  2 ", body=b"hello")))
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
    assert answer.headers == {"content-length": "5", "x-a": "1, 2"}


@on_every_loop
async def test_the_chunks_of_a_segment_are_handed_over_in_one_piece() -> None:
    answer = await answer_to(answering(STREAM))
    assert (answer.pieces, answer.whole) == ([b"first, second"], True)


@on_every_loop
async def test_a_request_is_sent_as_it_was_given() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        large = bytes(range(256)) * 1024
        seen: list[bytes] = []

        async def serve(peer: Peer) -> None:
            seen.append(await peer.request())
            await peer.send(OK)

        async with provider(serve) as keen:
            await ask(upstream, keen.origin, headers={"x-api-key": "k"}, body=b"small")
            await ask(upstream, keen.origin, body=large)
        assert (await ask(upstream, acme.origin)).whole
    assert b"\r\nx-api-key: k\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\nsmall")
    assert seen[1].endswith(b"\r\n\r\n" + large)


@on_every_loop
async def test_interim_answers_are_passed_over() -> None:
    answer = await answer_to(answering(EARLY, EARLY + OK))
    assert (answer.status, answer.body, answer.whole) == (200, b"{}", True)
    assert "link" not in answer.headers


@on_every_loop
async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    for opening in (b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"):
        answer = await answer_to(once(opening + b"until the end"))
        assert (answer.body, answer.whole) == (b"until the end", True)


@on_every_loop
async def test_a_redirect_is_an_answer_like_any_other() -> None:
    async with provider(answering(OK)) as trap, transport() as upstream:
        where = f"http://127.0.0.1:{trap.origin.port}/".encode()
        script = answering(b"HTTP/1.1 307 Over There\r\nlocation: " + where + b"\r\ncontent-length: 0\r\n\r\n")
        async with provider(script) as acme:
            answer = await ask(upstream, acme.origin, headers={"x-api-key": "k"})
        assert (answer.status, answer.whole, trap.connections) == (307, True, 0)


@on_every_loop
async def test_an_answer_without_a_body_is_whole() -> None:
    for status in (b"204 No Content", b"304 Not Modified"):
        answer = await answer_to(answering(b"HTTP/1.1 " + status + b"\r\n\r\n"))
        assert (answer.status, answer.body, answer.whole) == (int(status[:3]), b"", True)


@settings(max_examples=60, deadline=None)
@given(
    data=st.sampled_from([STREAM, EARLY + OK, EARLY + STREAM, reply(b"a: b", b"content-length: 3", body=b"abc")]),
    cuts=st.lists(st.integers(1, 200), max_size=12),
)
def test_an_answer_cut_anywhere_is_the_same_answer(data: bytes, cuts: list[int]) -> None:
    marks = [0, *sorted(cut for cut in set(cuts) if cut < len(data)), len(data)]
    parts = [data[a:b] for a, b in pairwise(marks)]
    assert _bytewise(parts) == _bytewise([data])


def test_an_answer_cut_at_every_byte_is_the_same_answer() -> None:
    for data in (STREAM, EARLY + OK, EARLY + STREAM):
        assert _bytewise([data[i : i + 1] for i in range(len(data))]) == _bytewise([data])


def test_what_frames_the_chunks_of_a_long_stream_never_adds_up_to_a_head() -> None:
    frames = [part for _ in range(30_000) for part in (b"5\r\n", b"hello", b"\r\n")]  # twice as much as a head may have
    assert _bytewise([CHUNKED, *frames, b"0\r\n\r\n"])[2:] == (b"hello" * 30_000, True)


def _bytewise(parts: list[bytes]) -> tuple[int, Mapping[str, str], bytes, bool]:
    """An answer whose provider waits, after each part, until that has been read."""

    async def run() -> tuple[int, Mapping[str, str], bytes, bool]:
        async with provider(answering(OK)) as acme, transport() as upstream:
            answer = send(upstream, acme.origin)
            await answer.done.wait()
            connection = next(iter(upstream._pools[acme.origin].connections))
            again = Answer()
            # The parts come from the socket's own loop turn, but never joined by the kernel.
            answer = send(upstream, acme.origin, sink=again)
            for part in parts:
                connection.data_received(part)
            assert again.done.is_set()
            connection.transport.abort()
            return again.status, again.headers, again.body, again.whole

    return asyncio.run(run())


BROKEN = {
    "an end before any answer": (b"", "closed the connection without answering"),
    "an end in the head": (b"HTTP/1.1 200 OK\r\ncontent-le", "closed the connection without answering"),
    "an end after an interim answer": (EARLY, "closed the connection without answering"),
    "a body shorter than its length": (reply(b"content-length: 9", body=b"half"), "in the middle of its answer"),
    "a stream without its last chunk": (CHUNKED + b"4\r\nhalf\r\n", "in the middle of its answer"),
    "an end inside a chunk": (CHUNKED + b"9\r\nhalf", "in the middle of its answer"),
    "a chunk without a size": (CHUNKED + b"z\r\n", "not HTTP"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    "HTML alone": (b"<html><h1>It works!</h1>", "not HTTP"),
    "HTTP/2": (b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64", "not HTTP"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x28", "not HTTP"),
    "two lengths": (reply(b"content-length: 1", b"content-length: 2", body=b"ab"), "not HTTP"),
    "a length and chunks": (reply(b"content-length: 1", b"transfer-encoding: chunked", body=b"0\r\n\r\n"), "not HTTP"),
    "a signed length": (reply(b"content-length: +1", body=b"a"), "not HTTP"),
    "an endless length": (reply(b"content-length: " + b"9" * 40, body=b"a"), "not HTTP"),
    "a NUL in a header": (reply(b"a: \0", b"content-length: 0"), "not HTTP"),
    "a folded header": (reply(b"a: b", b" c", b"content-length: 0"), "not HTTP"),
    "bare line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "not HTTP"),
    "a status that is none": (b"HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n", "not HTTP"),
    "a status beyond all classes": (b"HTTP/1.1 600 High\r\ncontent-length: 0\r\n\r\n", "not HTTP"),
    "another protocol": (b"HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "another protocol"),
    "an unknown transfer coding": (reply(b"transfer-encoding: gzip", body=b"x"), "transfer-encoding"),
    "a coding before the chunks": (reply(b"transfer-encoding: gzip, chunked", body=b"0\r\n\r\n"), "transfer-encoding"),
    "an unknown content coding": (reply(b"content-encoding: br", b"content-length: 1", body=b"x"), "content-encoding"),
    "a second answer": (OK + OK, "more than one answer"),
    "the beginning of a second answer": (OK + b"HTTP/1.1 200", "more than one answer"),
    "garbage after the answer": (OK + b"garbage", "not HTTP"),
    "data after the last answer": (reply(b"connection: close", b"content-length: 1", body=b"ab"), "not HTTP"),
}


@on_every_loop
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_answer_fails_and_its_connection_is_not_used_again(fault: str) -> None:
    data, words = BROKEN[fault]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        if words.endswith(("answering", "answer")) and "more" not in words:
            return
        await peer.gone()

    async with provider(script) as acme, transport() as upstream:
        error = await (await ask(upstream, acme.origin)).failure()
        await ask(upstream, acme.origin)
        assert acme.connections == 2
    assert words in str(error)
    assert str(error).startswith(f"Acme (127.0.0.1:{acme.origin.port}) ")
    assert (error.kind, error.provider, error.retryable) == ("api", "Acme", True)


@on_every_loop
async def test_a_reset_fails_the_attempt_in_every_phase() -> None:
    for before in (b"", b"HTTP/1.1 200 OK\r\ncontent", reply(b"content-length: 99", body=b"half"), CHUNKED):

        async def script(peer: Peer, before: bytes = before) -> None:
            await peer.request()
            await peer.send(before)
            peer.reset()

        answer = await answer_to(script)
        assert "closed the connection" in str(await answer.failure())


@on_every_loop
async def test_the_end_of_a_read_until_close_body_by_reset_is_no_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await released.wait()
        peer.reset()

    released = asyncio.Event()
    async with provider(script) as acme, transport() as upstream:
        answer = send(upstream, acme.origin)
        await answer.grown.wait()
        released.set()
        assert "in the middle" in str(await answer.failure())


@on_every_loop
async def test_what_arrived_before_the_fault_was_handed_over() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nfirst\r\n")
        await released.wait()
        await peer.send(b"no chunk")
        await peer.gone()

    released = asyncio.Event()
    async with provider(script) as acme, transport() as upstream:
        answer = send(upstream, acme.origin)
        await answer.grown.wait()
        released.set()
        await answer.failure()
    assert answer.body == b"first"


@on_every_loop
async def test_line_breaks_after_an_answer_do_not_spoil_it() -> None:
    assert (await answer_to(answering(OK + b"\r\n"))).whole


@on_every_loop
async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if acme.connections == 1:
            await released.wait()
            await peer.send(OK.replace(b"200 OK", b"403 Smuggled"))
        await peer.gone()
        closed.set()

    released, closed = asyncio.Event(), asyncio.Event()
    async with provider(script) as acme, transport() as upstream:
        await ask(upstream, acme.origin)
        released.set()
        await closed.wait()
        assert (await ask(upstream, acme.origin)).status == 200
        assert acme.connections == 2


@on_every_loop
async def test_a_head_has_bounds() -> None:
    many = reply(*[b"x-%d: y" % i for i in range(11)], b"content-length: 0")
    large = reply(b"x: " + b"y" * 1000, b"content-length: 0")
    endless = b"HTTP/1.1 200 OK\r\nx: " + b"y" * 5000
    for data in (many, large, endless, b"HTTP/1.1 100 Continue\r\n\r\n" * 100):

        async def script(peer: Peer, data: bytes = data) -> None:
            await peer.request()
            await peer.send(data)
            await peer.gone()

        answer = await answer_to(script, limits={"headers": 10, "head_bytes": 900})
        assert "sent more than 10 headers" in str(answer.error) or "head larger than 900" in str(answer.error)


@on_every_loop
async def test_trailers_and_chunk_extensions_have_the_bounds_of_a_head() -> None:
    for data in (CHUNKED + b"1;" + b"x" * 2000, CHUNKED + b"1\r\na\r\n0\r\nx: " + b"y" * 2000):

        async def script(peer: Peer, data: bytes = data) -> None:
            await peer.request()
            for i in range(0, len(data), 300):
                await peer.send(data[i : i + 300])
                await asyncio.sleep(0.001)
            await peer.gone()

        answer = await answer_to(script, limits={"head_bytes": 900})
        assert "head larger than 900" in str(await answer.failure())


@on_every_loop
async def test_an_answer_beyond_the_cap_fails() -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        while True:
            await peer.send(b"100\r\n" + bytes(256) + b"\r\n")

    answer = await answer_to(endless, limits={"body_bytes": 100_000})
    assert "sent an answer larger than 100000 bytes" in str(await answer.failure())
    assert len(answer.body) <= 100_000


class Counter(Answer):
    """A sink that only counts, so that what memory it takes is the transport's."""

    size = 0

    def data(self, data: bytes) -> None:
        self.size += len(data)


@on_every_loop
async def test_a_gigabyte_passes_in_flat_memory() -> None:
    block = bytes(1024 * 1024)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"content-length: %d" % 2**30))
        for _ in range(1024):
            await peer.send(block)
        await peer.gone()

    async with provider(script) as acme, transport(body_bytes=2**31) as upstream:
        counter = Counter()
        tracemalloc.start()
        try:
            answer = await ask(upstream, acme.origin, sink=counter)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answer.whole
    assert counter.size == 2**30
    assert peak < 16 * 2**20


@on_every_loop
async def test_a_compressed_answer_arrives_plain() -> None:
    packed = gzip.compress(b'{"a": 1}')
    lines = (b"content-encoding: GZIP", b"content-length: %d" % len(packed))
    answer = await answer_to(answering(reply(*lines, body=packed)))
    assert (answer.headers, answer.body, answer.whole) == ({}, b'{"a": 1}', True)


@on_every_loop
async def test_a_compressed_answer_that_breaks_off_fails_although_http_is_satisfied() -> None:
    packed = gzip.compress(b'{"a": 1}')[:-4]
    lines = (b"content-encoding: gzip", b"content-length: %d" % len(packed))
    answer = await answer_to(answering(reply(*lines, body=packed)))
    assert "breaks off" in str(await answer.failure())
    cut = await answer_to(once(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + packed))
    assert "breaks off" in str(await cut.failure())


@on_every_loop
async def test_a_bomb_fails_without_being_unpacked() -> None:
    packed = gzip.compress(bytes(200_000_000))
    lines = (b"content-encoding: gzip", b"content-length: %d" % len(packed))
    counter = Counter()
    answer = await answer_to(once(reply(*lines, body=packed)), sink=counter)
    assert "beyond measure" in str(await answer.failure())
    assert counter.size < 30_000_000


@on_every_loop
async def test_an_answer_before_the_end_of_the_upload_counts_and_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        cast(asyncio.ReadTransport, peer.writer.transport).pause_reading()  # nobody takes the rest
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await over.wait()

    over = asyncio.Event()
    async with provider(script) as acme, transport() as upstream:
        for connections in (1, 2):
            answer = await ask(upstream, acme.origin, body=bytes(50_000_000))
            assert (answer.status, answer.body, answer.whole) == (413, b"{}", True)
            assert acme.connections == connections
        over.set()


@on_every_loop
async def test_an_answer_before_the_end_of_the_upload_counts_when_the_provider_leaves_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    answer = await answer_to(script, body=bytes(50_000_000))
    # The reset that follows may overtake the answer in the provider's own kernel; then there is none.
    assert answer.status == 413 or "without answering" in str(answer.error)


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from([STREAM, EARLY + OK, reply(b"a: b", b"content-encoding: gzip", body=gzip.compress(b"abc"))]),
    damage=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3)), max_size=3),
    cut=st.integers(0, 200),
)
def test_whatever_a_provider_sends_there_is_exactly_one_outcome(
    data: bytes, damage: list[tuple[int, bytes, int]], cut: int
) -> None:
    for place, inserted, removed in damage:
        data = data[:place] + inserted + data[place + removed :]
    parts = [data[:cut], data[cut:]]

    async def run() -> None:
        loop = asyncio.get_running_loop()
        bugs: list[object] = []
        loop.set_exception_handler(lambda _, context: bugs.append(context))
        pool = Pool(Origin("http", "acme.test", 80), Limits(), Dialer(), loop, lambda: None)
        ours, theirs = socket.socketpair()
        _, connection = await loop.create_connection(lambda: Connection(pool), sock=ours)
        pool.connections.add(connection)
        answer = Answer()
        connection.begin(HttpAttempt(pool, UpstreamRequest(pool.origin, "/", {}, b""), answer, loop))
        for part in filter(None, parts):
            connection.data_received(part)
        if not connection.transport.is_closing():
            connection.eof_received()
        theirs.close()
        await answer.done.wait()  # the sink itself sees to it that nothing follows
        assert answer.whole == (answer.error is None)
        await asyncio.sleep(0)
        assert not bugs

    asyncio.run(run())


class Clumsy(Answer):
    """A sink with a bug in one of its methods."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        super().head(status, headers)
        self._trip("head")

    def data(self, data: bytes) -> None:
        super().data(data)
        self._trip("data")

    def end(self) -> None:
        super().end()
        self._trip("end")

    def fail(self, error: ProviderError) -> None:
        super().fail(error)
        self._trip("fail")

    def _trip(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError(where)


@on_every_loop
@pytest.mark.parametrize("where", ["head", "data", "end", "fail"])
@pytest.mark.parametrize("data", [OK, b"HTTP/1.1 200 OK\r\n\r\nuntil close", b"no HTTP"])
async def test_a_sink_that_raises_is_reported_and_breaks_nothing_else(where: str, data: bytes) -> None:
    bugs: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(str(context["exception"])))
    async with provider(once(data)) as acme, transport() as upstream:
        clumsy = Clumsy(where)
        await ask(upstream, acme.origin, sink=clumsy)
        reached = where != "fail" if clumsy.status else where == "fail"
        assert bugs == ([where] if reached else [])
        assert clumsy.whole == (bool(clumsy.status) and where in ("end", "fail"))
        await ask(upstream, acme.origin)
        assert acme.connections == 2
