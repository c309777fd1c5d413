"""Every fault of a client, in every pair of dialects, whole and streamed, at the first target and at the last one.

Each cell says what the client gets, what its provider saw and what was recorded; and afterwards the gateway is quiet
again. The last target is one that comes after a provider that is not there.
"""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from portbroker.dialects.registry import DIALECTS
from tests.fault_grid import CELLS, STREAMED, Cell, Got, Grid, ask, grid, read
from tests.upstream_faults import HARMLESS, SAID, SECRET, breaking
from tests.wire_providers import Script, Wire, response

POSITION = pytest.mark.parametrize("last", [False, True], ids=["first-target", "last-target"])
LEFT_WITHIN = 0.1
"""Seconds in which a provider must learn that nobody waits for it any more."""


@pytest.fixture(autouse=True)
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, in which there is neither a traceback nor a secret, and no line that a client began."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert SECRET not in "".join(record.getMessage() for record in records)
    assert all(record.getMessage().isprintable() for record in records)


@dataclass(frozen=True)
class Request:
    """What a client sends, in pieces with a pause between them."""

    pieces: tuple[bytes, ...]
    slowly: bool = False


def _head(cell: Cell, length: int, headers: bytes = b"", host: bytes = b"localhost") -> bytes:
    path = b"/v1" + DIALECTS[cell.says].path.encode()
    framing = b"content-length: %d\r\n" % length if length >= 0 else b""
    return b"POST " + path + b" HTTP/1.1\r\nhost: " + host + b"\r\n" + headers + framing + b"\r\n"


def _body(cell: Cell, **more: object) -> bytes:
    return json.dumps(ask(cell) | more).encode()


def _sends(change: Callable[[Cell], bytes], headers: bytes = b"") -> Callable[[Cell], Request]:
    """A request with this body."""

    def request(cell: Cell) -> Request:
        body = change(cell)
        return Request((_head(cell, len(body), headers) + body,))

    return request


def _heads(headers: bytes = b"", *, length: bool = True, host: bytes = b"localhost") -> Callable[[Cell], Request]:
    """A request with a sound body under this head."""

    def request(cell: Cell) -> Request:
        body = _body(cell)
        return Request((_head(cell, len(body) if length else -1, headers, host) + body,))

    return request


def _cut(at: Callable[[bytes], list[int]]) -> Callable[[Cell], Request]:
    """A sound request that comes in pieces."""

    def request(cell: Cell) -> Request:
        whole = _heads()(cell).pieces[0]
        cuts = [0, *at(whole), len(whole)]
        return Request(tuple(whole[a:b] for a, b in pairwise(cuts)), slowly=True)

    return request


def _nested(cell: Cell) -> bytes:
    return _body(cell)[:-1] + b', "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


REFUSED: dict[str, tuple[Callable[[Cell], Request], int]] = {
    "C3-cut-body": (_sends(lambda cell: _body(cell)[:-7]), 400),
    "C4-oversize": (_sends(lambda cell: _body(cell, user="x" * 1_100_000)), 413),
    "C4-oversize-announced": (lambda cell: Request((_head(cell, 2**31),)), 413),
    "C4-not-gzip": (_heads(b"content-encoding: gzip\r\n"), 400),
    "C4-nested": (_sends(_nested), 400),
    "C4-brackets": (_sends(lambda _: b"[" * 100_000), 400),
    "C4-nan": (_sends(lambda cell: _body(cell)[:-1] + b', "temperature": NaN}'), 400),
    "C4-lone-surrogate": (_sends(lambda cell: _body(cell).replace(b'"hi"', rb'"\ud800"')), 400),
    "C4-not-utf-8": (_sends(lambda cell: _body(cell).replace(b'"hi"', b'"\xff\xfe"')), 400),
    "C4-list": (_sends(lambda _: b"[]"), 400),
    "C4-no-model": (_sends(lambda cell: _body(cell, model=None)), 400),
    "C5-two-lengths": (_heads(b"content-length: 3\r\n"), 400),
    "C5-length-and-chunks": (_heads(b"transfer-encoding: chunked\r\n"), 400),
    "C5-unknown-coding": (_heads(b"transfer-encoding: xchunked\r\n", length=False), 400),
    "C5-folded-line": (_heads(b"x: a\r\n b\r\n"), 400),
    "C5-space-before-colon": (_heads(b"x-a : b\r\n"), 400),
    "C5-another-host": (_heads(host=b"evil.test"), 403),
    "C6-line-in-the-model": (_sends(lambda cell: _body(cell, model="m\r\nx-evil: 1")), 404),
    "C6-nul-in-a-header": (_heads(b"x-a: b\x00c\r\n"), 400),
}

SERVED: dict[str, Callable[[Cell], Request]] = {
    "C2-reads-late": _heads(),
    "C3-every-byte-of-the-head": _cut(lambda whole: list(range(1, 60))),
    "C3-the-body-in-pieces": _cut(lambda whole: list(range(whole.index(b"\r\n\r\n") + 4, len(whole), 9))),
    "C4-keys-twice": _sends(lambda cell: b'{"user": "a", ' + _body(cell, user="b")[1:]),
    "C5-asks-before-it-sends": _heads(b"expect: 100-continue\r\n"),
    "C6-lines-in-metadata": _sends(lambda cell: _body(cell, metadata={"user_id": "a\r\nx-evil: 1", "k": "\x00"})),
    "C6-request-id": _heads(b"x-request-id: a\tb\r\nx-portbroker-revision: mine\r\n"),
}


@contextlib.asynccontextmanager
async def connected(here: Grid) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(here.listening.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, request: Request) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in request.pieces:
        with contextlib.suppress(ConnectionError):  # refused before it was sent
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001 if request.slowly else 0)  # each in a segment of its own


async def _receive(cell: Cell, reader: asyncio.StreamReader) -> Got:
    """The whole answer, as a client of this dialect understands it."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(headers) == len(lines), "a header came twice"
    assert "x-evil" not in headers
    if "content-length" in headers:
        raw = await reader.readexactly(int(headers["content-length"]))
    else:
        raw = await _chunks(reader)
    got = Got(int(status.split()[1]), headers, raw)
    if "x-portbroker-revision" in headers:  # what cannot be read as HTTP has no path, and so no dialect
        read(cell, got)
    else:
        got.error = json.loads(raw)["error"]["message"]
    return got


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    raw = b""
    while size := int(await reader.readline(), 16):
        raw += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return raw


@POSITION
@pytest.mark.parametrize("fault", REFUSED)
async def test_what_cannot_be_served_is_refused_and_reaches_no_provider(
    fault: str, last: bool, lines: pytest.LogCaptureFixture
) -> None:
    request, status = REFUSED[fault]

    async def one(here: Grid, cell: Cell) -> None:
        async with asyncio.timeout(10), connected(here) as (reader, writer):
            await _send(writer, request(cell))
            got = await _receive(cell, reader)
        assert got.status == status, f"{cell}: {got.raw!r}"
        assert got.error, cell
        assert "x-portbroker-revision" not in got.headers or f" {status} " in here.line(got.headers["request-id"])
        assert "x-portbroker-attempts" not in got.headers, cell

    async with grid(lines, HARMLESS["sound"], last=last, after_a_dead_one=last) as here:
        await asyncio.gather(*(one(here, cell) for cell in here.cells))
        assert not any(provider.connections for provider in here.faulty.values())


@POSITION
@pytest.mark.parametrize("fault", SERVED)
async def test_what_is_only_unusual_is_served(fault: str, last: bool, lines: pytest.LogCaptureFixture) -> None:
    async def one(here: Grid, cell: Cell) -> None:
        async with asyncio.timeout(10), connected(here) as (reader, writer):
            await _send(writer, SERVED[fault](cell))
            if fault == "C2-reads-late":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await here.faulty[cell.speaks].asked.wait()
                await asyncio.sleep(0.05)  # the lateness itself
                writer.transport.resume_reading()  # type: ignore[attr-defined]
            got = await _receive(cell, reader)
        assert got.status == 200, f"{cell}: {got.raw!r}"
        assert got.words.endswith(SAID), cell
        assert got.headers["x-portbroker-attempts"] == ("2" if last else "1"), cell
        assert got.headers["x-portbroker-provider"] == f"F{cell.number}", cell
        line = here.line(got.headers["request-id"])
        assert "tokens=" in line, cell
        assert "partial" not in line, cell

    async with grid(lines, HARMLESS["sound"], last=last, after_a_dead_one=last) as here:
        await asyncio.gather(*(one(here, cell) for cell in here.cells))


async def _silent(wire: Wire) -> None:
    await wire.request()
    await wire.gone()


async def _half(wire: Wire) -> None:
    await wire.request()
    await wire.send(response(b'{"half', length=500))
    await wire.gone()


LEAVES: dict[str, tuple[Callable[[str], Script], list[Cell], bytes]] = {
    "C1-before-the-answer": (lambda _: _silent, CELLS, b""),
    "C1-in-an-answer": (lambda _: _half, [cell for cell in CELLS if not cell.stream], b""),
    "C1-in-a-stream": (lambda speaks: breaking("U6-silence", speaks, in_event=False), STREAMED, b"sound"),
}
"""What the provider does, for which cells, and what the client has seen when it leaves."""


@POSITION
@pytest.mark.parametrize("fault", LEAVES)
async def test_a_client_that_leaves_ends_its_attempt_and_starts_no_other(
    fault: str, last: bool, lines: pytest.LogCaptureFixture
) -> None:
    script, cells, seen = LEAVES[fault]

    async def one(here: Grid, cell: Cell) -> None:
        provider = here.faulty[cell.speaks]
        async with connected(here) as (reader, writer):
            await _send(writer, _heads()(cell))
            await asyncio.wait_for(provider.asked.wait(), 5)
            if seen:
                await asyncio.wait_for(reader.readuntil(seen), 5)
        model = f" m{cell.number} -> "
        async with asyncio.timeout(5):
            while not (said := [m for r in lines.get_records("call") if model in (m := r.getMessage())]):
                await asyncio.sleep(0.005)
        assert len(said) == 1, cell
        assert " partial" in said[0], cell
        assert f"G{cell.number}/m" not in said[0], cell

    # One dialect's provider at a time and one client after the other: then it can be told who was let go, and when.
    async with grid(lines, script, last=last, after_a_dead_one=last, cells=cells, first_byte=30, idle=30) as here:
        for cell in cells:
            provider = here.faulty[cell.speaks]
            provider.asked.clear()
            provider.left.clear()
            await one(here, cell)
            await asyncio.wait_for(provider.left.wait(), LEFT_WITHIN)
            assert provider.open == 0, cell


@POSITION
async def test_a_client_that_leaves_after_its_answer_or_in_its_request_harms_nobody(
    last: bool, lines: pytest.LogCaptureFixture
) -> None:
    async def one(here: Grid, cell: Cell) -> None:
        whole = _heads()(cell).pieces[0]
        for sent in (whole[:30], whole[:-5]):
            async with connected(here) as (_, writer):
                await _send(writer, Request((sent,)))
        async with asyncio.timeout(10), connected(here) as (reader, writer):
            await _send(writer, Request((whole,)))
            assert (await _receive(cell, reader)).words.endswith(SAID), cell

    async with grid(lines, HARMLESS["sound"], last=last, after_a_dead_one=last) as here:
        await asyncio.gather(*(one(here, cell) for cell in here.cells))
        assert sum(len(provider.requests) for provider in here.faulty.values()) == len(CELLS)
