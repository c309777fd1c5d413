"""What clients do wrong, by mistake or on purpose: each gets an answer that says so, and harms nobody else."""

import asyncio
import gc
import gzip
import json
import logging
import resource
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from portbroker import clients, gateway, intake, wire
from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from tests.providers import answers, chat_answer, chat_chunk, chat_stream, serving, sse, streams
from tests.test_faults import SECRET, config
from tests.wire_providers import LAST, STREAM, Script, Wire, chunk, response, says, scripted

BODY = json.dumps({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}).encode()
STREAMED = BODY[:-1] + b', "stream": true}'
MAX_BODY = 4 * 1024 * 1024


def packed_by_zstd(size: int, *parameters: tuple[zstd.CompressionParameter, int]) -> bytes:
    """So many spaces, in a frame that does not say how many there are."""
    packer = zstd.ZstdCompressor(options=dict(parameters))
    return packer.compress(b" " * size) + packer.flush()


BOMB_OF_UNKNOWN_SIZE = packed_by_zstd(100_000_000)
HUGE_WINDOW = packed_by_zstd(1_000_000, (zstd.CompressionParameter.window_log, 30))


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, the log has neither a traceback nor a secret, and one line for each call."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    lines = [record.getMessage() for record in records]
    assert SECRET not in "".join(lines)
    assert all(line.isprintable() and len(line) < 3000 for line in lines)


def post(body: bytes = BODY, *, path: bytes = b"/v1/messages", headers: bytes = b"", length: bool = True) -> bytes:
    """A request as bytes."""
    framing = b"content-length: %d\r\n" % len(body) if length else b""
    return b"POST " + path + b" HTTP/1.1\r\nhost: localhost\r\n" + headers + framing + b"\r\n" + body


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """A client on a raw socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert len(headers) == len([line for line in lines[1:] if line]), "a header came twice"
        return int(lines[0].split()[1]), headers

    async def answer(self, *, head_only: bool = False) -> Answer:
        """One whole answer, within a second or two."""
        async with asyncio.timeout(5):
            status, headers = await self.head()
            length = 0 if head_only else int(headers.get("content-length", "0"))
            return Answer(status, headers, await self.reader.readexactly(length))

    async def rest(self) -> bytes:
        """All until the gateway closes."""
        async with asyncio.timeout(5):
            return await self.reader.read()


class Front:
    """A gateway under attack."""

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.port = int(listening.url.rsplit(":", 1)[1])

    @asynccontextmanager
    async def connection(self, **how: Any) -> AsyncIterator[Raw]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24, **how)
        try:
            yield Raw(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, data: bytes) -> Answer:
        async with self.connection() as raw:
            await raw.send(data)
            return await raw.answer(head_only=data.startswith(b"HEAD"))

    async def works(self) -> None:
        """The next client is served."""
        assert (await self.ask(post())).status == 200


@asynccontextmanager
async def front(*urls: str, idle: float = 2) -> AsyncIterator[Front]:
    text = config(*urls, idle=idle).encode()
    snapshot = compile_snapshot(load_text(text, file="t.yaml", directory=Path("/nonexistent"), environ={}))
    before = asyncio.all_tasks()
    async with running(snapshot, host="127.0.0.1", port=0, max_body=MAX_BODY) as listening:
        yield Front(listening)
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    assert not left, "tasks are left over"


@asynccontextmanager
async def sound_front() -> AsyncIterator[Front]:
    async with serving(answers(chat_answer("Hi"))) as provider, front(provider.url) as gate:
        yield gate


CHUNKED = b"transfer-encoding: chunked\r\n"
NOT_HTTP: dict[str, bytes] = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a-word": b"HELLO\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http3.0": post().replace(b"HTTP/1.1", b"HTTP/3.0"),
    "two-lengths": post(headers=b"content-length: 5\r\n"),
    "length-and-chunks": post(headers=CHUNKED),
    "word-length": post(length=False, headers=b"content-length: abc\r\n"),
    "negative-length": post(length=False, headers=b"content-length: -1\r\n"),
    "signed-length": post(length=False, headers=b"content-length: +5\r\n"),
    "endless-length": post(length=False, headers=b"content-length: 99999999999999999999999\r\n"),
    "unknown-coding": post(length=False, headers=b"transfer-encoding: xchunked\r\n"),
    "coding-twice": post(length=False, headers=CHUNKED + b"transfer-encoding: identity\r\n"),
    "bad-chunk": post(b"zz\r\nabc\r\n0\r\n\r\n", length=False, headers=CHUNKED),
    "negative-chunk": post(b"-5\r\nabc\r\n0\r\n\r\n", length=False, headers=CHUNKED),
    "bare-lf": post().replace(b"\r\n", b"\n"),
    "bare-cr": post(headers=b"x: a\rb\r\n"),
    "nul": post(headers=b"x: a\0b\r\n"),
    "space-before-colon": post(headers=b"content-length : 3\r\n", length=False),
    "folded": post(headers=b"x: a\r\n b\r\n"),
    "no-colon": post(headers=b"xab\r\n"),
    "long-header": post(headers=b"authorization: Bearer " + SECRET.encode() * 1000 + b"\r\n"),
    "secret-in-bad-header": post(headers=b"authorization: \0" + SECRET.encode() + b"\r\n"),
    "many-headers": post(headers=b"x: a\r\n" * 20_000),
    "long-path": post(path=b"/" + b"a" * 20_000),
    "no-host": post().replace(b"host: localhost\r\n", b""),
    "two-hosts": post(headers=b"host: evil.example\r\n"),
    "unknown-method": b"BREW / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "bad-method": b"PO(ST / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "path-not-ascii": post(path="/v1/mess\u00e4ges".encode()),
}


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_not_http_is_refused_quietly_and_counted(name: str) -> None:
    async with sound_front() as gate:
        async with gate.connection() as raw:
            await raw.send(NOT_HTTP[name])
            answer = await raw.answer()
            assert answer.status in (400, 431)
            assert set(answer.json["error"]) == {"message", "type", "param", "code"}
            assert SECRET not in answer.body.decode()
            assert "aiohttp" not in f"{answer.headers}".lower()
            assert answer.headers["connection"] == "close"
            assert await raw.rest() == b""
        assert gate.listening.clients.malformed == 1
        await gate.works()


REFUSED: dict[str, tuple[bytes, int]] = {
    "too-large": (post(b"", length=False, headers=b"content-length: 999999999999\r\n"), 413),
    "too-large-in-chunks": (post(b"%x\r\n" % (MAX_BODY + 9) + b" " * (MAX_BODY + 9) + b"\r\n0\r\n\r\n", length=False,
                                 headers=CHUNKED), 413),
    "gzip-bomb": (post(gzip.compress(b" " * 100_000_000, 1), headers=b"content-encoding: gzip\r\n"), 413),
    "not-gzip": (post(headers=b"content-encoding: gzip\r\n"), 400),
    "half-gzip": (post(gzip.compress(BODY)[:40], headers=b"content-encoding: gzip\r\n"), 400),
    "gzip-without-its-check": (post(gzip.compress(BODY)[:-8], headers=b"content-encoding: gzip\r\n"), 400),
    "zstd-bomb": (post(zstd.compress(b" " * 100_000_000), headers=b"content-encoding: zstd\r\n"), 413),
    "zstd-bomb-of-unknown-size": (post(BOMB_OF_UNKNOWN_SIZE, headers=b"content-encoding: zstd\r\n"), 413),
    "not-zstd": (post(headers=b"content-encoding: zstd\r\n"), 400),
    "half-zstd": (post(zstd.compress(BODY)[:40], headers=b"content-encoding: zstd\r\n"), 400),
    "zstd-of-a-huge-window": (post(HUGE_WINDOW, headers=b"content-encoding: zstd\r\n"), 400),
    "zstd-and-more": (post(zstd.compress(BODY) * 2, headers=b"content-encoding: zstd\r\n"), 400),
    "brotli": (post(headers=b"content-encoding: br\r\n"), 415),
    "two-encodings": (post(headers=b"content-encoding: gzip, gzip\r\n"), 415),
    "escaped": (post(path=b"/v1/%6dessages"), 404),
    "escaped-dots": (post(path=b"/v1/%2e%2e/v1/messages"), 404),
    "dots": (post(path=b"/v1/x/../messages"), 404),
    "capitals": (post(path=b"/V1/messages"), 404),
    "fragment": (post(path=b"/v1/messages#x"), 404),
    "semicolon": (post(path=b"/v1/messages;x=1"), 404),
    "absolute": (post(path=b"http://evil.example/v1/messages"), 404),
    "star": (b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
    "connect": (b"CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
    "4k-path": (post(path=b"/v1/messages/" + b"a" * 4000), 404),
    "options": (b"OPTIONS /v1/messages HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
    "head": (b"HEAD /v1/messages HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
    "trace": (b"TRACE / HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
    "empty": (post(b""), 400),
    "no-length": (post(b"", length=False), 400),
    "foreign-host": (post().replace(b"localhost", b"evil.example"), 403),
    "rebound-host": (post().replace(b"localhost", b"127.0.0.1.evil.example:80"), 403),
    "host-with-a-user": (post().replace(b"localhost", b"localhost@evil.example"), 403),
    "foreign-page": (post(headers=b"content-type: text/plain\r\norigin: https://evil.example\r\n"), 403),
    "page-that-looks-local": (post(headers=b"origin: http://localhost.evil.example\r\n"), 403),
    "sandboxed-page": (post(headers=b"origin: null\r\n"), 403),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_cannot_be_served_is_told_why(name: str) -> None:
    data, status = REFUSED[name]
    async with sound_front() as gate:
        answer = await gate.ask(data)
        assert answer.status == status
        if not data.startswith(b"HEAD"):
            assert answer.json["error"]["message"]
            assert answer.headers["x-request-id"]
        await gate.works()


SERVED: dict[str, bytes] = {
    "chunks": post(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), length=False, headers=CHUNKED),
    "gzip": post(gzip.compress(BODY), headers=b"content-encoding: gzip\r\n"),
    "zstd": post(zstd.compress(BODY), headers=b"content-encoding: zstd\r\n"),
    "deflate": post(zlib.compress(BODY), headers=b"content-encoding: deflate\r\n"),
    "bare-deflate": post(zlib.compress(BODY)[2:-4], headers=b"content-encoding: deflate\r\n"),
    "identity": post(headers=b"content-encoding: identity\r\n"),
    "query": post(path=b"/v1/messages?beta=true&x=%00%0d%0a"),
    "double-slash": post(path=b"//v1/messages"),
    "slash-at-the-end": post(path=b"/v1/messages/"),
    "http1.0": post().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "http1.0-without-host": post().replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"host: localhost\r\n", b""),
    "host-with-port": post().replace(b"localhost", b"LocalHost:8000"),
    "host-ipv4": post().replace(b"localhost", b"127.0.0.1:1"),
    "host-ipv6": post().replace(b"localhost", b"[::1]:8000"),
    "own-page": post(headers=b"origin: http://localhost:3000\r\n"),
    "own-page-ipv6": post(headers=b"origin: http://[::1]:3000\r\n"),
    "upgrade": post(headers=b"upgrade: h2c\r\nconnection: upgrade\r\n"),
    "unknown-expectation": post(headers=b"expect: 200-ok\r\n"),
    "duplicate-keys": post(BODY[:-1] + b', "model": "m"}'),
}


@pytest.mark.parametrize("name", SERVED)
async def test_an_unusual_request_is_served(name: str) -> None:
    async with sound_front() as gate:
        answer = await gate.ask(SERVED[name])
        assert answer.status == 200, answer.body
        assert answer.json["content"][0]["text"] == "Hi"


async def test_a_client_that_asks_first_is_invited_to_send_its_body() -> None:
    async with sound_front() as gate, gate.connection() as raw:
        whole = post(headers=b"expect: 100-continue\r\n")
        await raw.send(whole[: -len(BODY)])
        assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(BODY)
        assert (await raw.answer()).status == 200
        await raw.send(post(b"", length=False, headers=b"expect: 100-continue\r\ncontent-length: 99999999\r\n"))
        assert (await raw.answer()).status == 413  # and is not invited in vain


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    async with sound_front() as gate, gate.connection() as raw:
        await raw.send(post() + post(path=b"/nowhere") + post(b"{") + post())
        assert [(await raw.answer()).status for _ in range(4)] == [200, 404, 400, 200]
        await raw.send(post())
        assert (await raw.answer()).status == 200


async def test_half_a_request_does_not_hold_its_connection_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "IDLE", 0.05)
    async with sound_front() as gate:
        for part in (b"", b"POST /v1/mess", post()[:50]):
            async with gate.connection() as raw:
                await raw.send(part)
                assert await raw.rest() == b""


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_half_a_body_does_not_hold_its_connection_for_ever(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PATIENCE", 0.05)
    async with sound_front() as gate, gate.connection() as raw:
        half = post() if framing == "length" else SERVED["chunks"]
        await raw.send(half[:-20])
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "in time" in answer.json["error"]["message"]


async def test_a_body_in_drips_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WHOLE_PATIENCE", 0.1)
    async with sound_front() as gate, gate.connection() as raw:
        await raw.send(post(b"", length=False, headers=b"content-length: 1000000\r\n"))

        async def drip() -> None:
            while True:
                await raw.send(b" ")
                await asyncio.sleep(0.005)

        dripping = asyncio.create_task(drip())
        assert (await raw.answer()).status == 408
        dripping.cancel()


async def test_a_body_that_breaks_into_garbage_is_the_clients_fault() -> None:
    async with sound_front() as gate, gate.connection() as raw:
        await raw.send(post(b"5\r\nabcde\r\n", length=False, headers=CHUNKED))
        await asyncio.sleep(0.01)
        await raw.send(b"zz\r\n")
        answer = await raw.answer()
        assert answer.status == 400
        assert answer.json["type"] == "error"


async def leaves(script: Script, data: bytes, *, after: bytes = b"") -> None:
    """A client that leaves at this point: the provider's connection must close within 100 ms, and all be quiet."""
    async with scripted(script) as provider, front(provider.url) as gate:
        async with gate.connection() as raw:
            await raw.send(data)
            await asyncio.wait_for(provider.asked.wait(), 2)
            if after:
                await asyncio.wait_for(raw.reader.readuntil(after), 2)
        await asyncio.wait_for(provider.left.wait(), 0.1)
        assert provider.open == 0


async def _no_head(wire_: Wire) -> None:
    await wire_.request()
    await wire_.gone()


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "streamed"])
async def test_a_client_that_leaves_before_the_answer_ends_the_attempt(body: bytes) -> None:
    await leaves(_no_head, post(body))


async def test_a_client_that_leaves_in_the_answer_ends_the_attempt() -> None:
    begun = chunk(sse(chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "Hel"})))
    await leaves(says(STREAM, then="hang"), post(STREAMED))
    await leaves(says(STREAM, begun, then="hang"), post(STREAMED), after=b"Hel")
    await leaves(says(response(b'{"half', length=99), then="hang"), post())


async def test_a_client_that_leaves_after_the_answer_or_in_its_request_harms_nobody() -> None:
    async with sound_front() as gate:
        for data in (post(), post()[:-5], post()[:30], post(STREAMED), post() + post(), b""):
            async with gate.connection() as raw:
                await raw.send(data)
        await gate.works()


async def test_a_slow_reader_of_a_stream_holds_the_provider_back_and_is_not_given_up() -> None:
    piece = chunk(sse(chat_chunk({"content": "x" * 60_000})))
    count, sent = 300, 0

    async def script(wire_: Wire) -> None:
        nonlocal sent
        await wire_.request()
        await wire_.send(STREAM)
        for _ in range(count):
            await wire_.send(piece)
            sent += 1
        await wire_.send(chunk(sse(chat_chunk({}, "stop"), "[DONE]")), LAST)

    async with scripted(script) as provider, front(provider.url, idle=0.2) as gate, gate.connection() as raw:
        raw.reader._limit = 2**14  # type: ignore[attr-defined]  # so that the client's own buffer stays small
        await raw.send(post(STREAMED))
        before = -1
        while sent != before or not sent:  # until the provider can send no more, and longer than its idle time
            before = sent
            await asyncio.sleep(0.25)
        assert sent < count
        received = await raw.reader.readuntil(b"\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            piece_ = await raw.reader.read(2**20)
            assert piece_, "the answer was cut"
            received = received[-16:] + piece_
        assert sent == count


async def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL", 0.05)
    async with serving(answers(chat_answer("x" * 30_000_000))) as provider, front(provider.url) as gate:
        async with gate.connection() as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await raw.send(post())
            while not gate.listening.clients._open:
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                while gate.listening.clients._open:
                    await asyncio.sleep(0.01)


async def test_many_slow_readers_take_little_memory() -> None:
    piece = chunk(sse(chat_chunk({"content": "x" * 60_000})))

    async def script(wire_: Wire) -> None:
        await wire_.request()
        await wire_.send(STREAM, *[piece] * 400)

    async with scripted(script) as provider, front(provider.url) as gate:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(_stalled(gate))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB; unbounded would be 480 MB


async def _stalled(gate: Front) -> None:
    async with gate.connection() as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await raw.send(post(STREAMED))
        await asyncio.sleep(0.5)


INJECTED = ["m\r\nx-evil: 1", "m\nx-evil: 1", "m\0", "m\u2028x", "é", "a" * 100_000, "\x1b[31mred"]


@pytest.mark.parametrize("word", INJECTED, ids=range(len(INJECTED)))
async def test_words_of_a_client_end_neither_a_header_nor_a_line_of_the_log(word: str) -> None:
    body = {**json.loads(BODY), "model": f"P1/{word}", "metadata": {"user_id": word}}
    async with serving(answers(chat_answer("Hi"))) as provider, front(provider.url) as gate:
        for asked in (body, {**body, "model": word}, {**body, "top_k": 1, "model": word}):
            answer = await gate.ask(post(json.dumps(asked).encode()))
            assert answer.status in (200, 404)
            assert "x-evil" not in answer.headers
            assert all(value.isprintable() and value.isascii() for value in answer.headers.values())
            assert sum(map(len, answer.headers.values())) < 8000
        assert all("x-evil" not in seen.headers for seen in provider.seen)


async def test_a_request_id_of_a_client_is_not_taken_over() -> None:
    async with sound_front() as gate:
        answer = await gate.ask(post(headers=b"x-request-id: mine\r\nrequest-id: mine\r\n"))
        assert answer.headers["x-request-id"].startswith("req_")


async def test_a_client_chooses_no_upstream_host_and_its_pictures_are_not_fetched() -> None:
    async with serving(answers(chat_answer("Hi"))) as elsewhere, serving(answers(chat_answer("Hi"))) as provider:
        host = elsewhere.url.removeprefix("http://").encode()
        picture = {"type": "image", "source": {"type": "url", "url": f"{elsewhere.url}/x.png"}}
        body = {**json.loads(BODY), "messages": [{"role": "user", "content": [picture]}], "base_url": elsewhere.url}
        headers = b"".join(
            name + b": http://" + host + b"\r\n"
            for name in (b"x-base-url", b"x-portkey-custom-host", b"x-forwarded-host", b"forwarded", b"x-original-url")
        )
        async with front(provider.url) as gate:
            assert (await gate.ask(post(json.dumps(body).encode(), headers=headers))).status == 200
            await gate.ask(post(path=b"http://" + host + b"/v1/messages"))
            await gate.ask(post(json.dumps({**body, "model": f"{elsewhere.url}/m"}).encode()))
        assert provider.seen
        assert not elsewhere.seen
        assert not any(name.startswith("x-") for seen in provider.seen for name in seen.headers)


async def test_a_clients_credentials_stay_here() -> None:
    theirs = b"authorization: Bearer theirs\r\nx-api-key: theirs\r\ncookie: theirs\r\nproxy-authorization: theirs\r\n"
    async with serving(answers(chat_answer("Hi"))) as provider, front(provider.url) as gate:
        assert (await gate.ask(post(headers=theirs))).status == 200
        assert "theirs" not in f"{provider.last.headers}"


def test_nothing_that_is_printed_shows_a_key() -> None:
    loaded = load_text(config("http://localhost:1").encode(), file="t.yaml", directory=Path("/x"), environ={})
    snapshot = compile_snapshot(loaded)
    target = snapshot.target(snapshot.providers["P1"], "m")
    for shown in (loaded, loaded.config, snapshot, target, target.provider, target.fieldmap, target.origin):
        assert SECRET not in f"{shown!r} {shown}"


async def test_a_fault_of_ours_is_a_500_in_the_dialect_and_the_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(SECRET)

    async with sound_front() as gate, gate.connection() as raw:
        with monkeypatch.context() as patch:
            patch.setattr(gateway, "parse_call", breaks)
            await raw.send(post() + post(path=b"/v1/chat/completions"))
            first, second = await raw.answer(), await raw.answer()
        assert (first.status, second.status) == (500, 500)
        assert first.json["type"] == "error"
        assert first.json["error"]["type"] == "api_error"
        assert second.json["error"]["type"] == "server_error"
        assert SECRET.encode() not in first.body + second.body
        await raw.send(post())
        assert (await raw.answer()).status == 200
    assert "a call failed inside the gateway" in caplog.text
    caplog.get_records("call").clear()  # a fault of ours is the one thing that has a traceback


async def load(gate: Front, stop: asyncio.Event) -> tuple[int, list[str]]:
    """Calls over one connection at a time until the gateway says that it closes; then there may be no new one."""
    served, failed = 0, list[str]()
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        except ConnectionRefusedError:
            return served, failed
        raw = Raw(reader, writer)
        try:
            keep = True
            while keep:
                await raw.send(post())
                answer = await raw.answer()
                served += answer.status == 200
                keep = answer.headers.get("connection") != "close"
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            if served or not stop.is_set():
                failed.append(repr(error))
            return served, failed
        finally:
            writer.close()


async def test_a_server_that_is_told_to_stop_loses_no_call() -> None:
    stop = asyncio.Event()
    async with serving(answers(chat_answer("Hi"))) as provider:
        async with asyncio.TaskGroup() as group:
            async with front(provider.url) as gate:
                loads = [group.create_task(load(gate, stop)) for _ in range(8)]
                while len(provider.seen) < 200:
                    await asyncio.sleep(0)
                stop.set()
        results = [task.result() for task in loads]
        assert sum(served for served, _ in results) >= 200
        assert [failure for _, failures in results for failure in failures] == []
        assert all(served for served, _ in results)


async def test_streams_under_way_end_before_the_server_does() -> None:
    go_on = asyncio.Event()

    async def script(wire_: Wire) -> None:
        await wire_.request()
        await wire_.send(STREAM, chunk(sse(chat_chunk({"content": "Hel"}))))
        await go_on.wait()
        await wire_.send(chunk(sse(chat_chunk({"content": "lo"}), chat_chunk({}, "stop"), "[DONE]")), LAST)

    async with scripted(script) as provider:
        async with front(provider.url) as gate:
            gate.listening.gateway.draining = True
            async with gate.connection() as idle, gate.connection() as raw:
                await raw.send(post(STREAMED))
                await raw.reader.readuntil(b"Hel")
                ending = asyncio.create_task(gate.listening.clients.end(5))
                await asyncio.wait_for(idle.rest(), 3)  # idle connections do not wait for streams
                assert not ending.done()
                go_on.set()
                assert b"message_stop" in await raw.rest()
                await asyncio.wait_for(ending, 2)


async def test_whoever_is_in_a_hurry_does_not_wait_for_streams() -> None:
    async with scripted(says(STREAM, chunk(sse(chat_chunk({"content": "Hel"}))), then="hang")) as provider:
        async with front(provider.url) as gate, gate.connection() as raw:
            await raw.send(post(STREAMED))
            await raw.reader.readuntil(b"Hel")
            ending = asyncio.create_task(gate.listening.clients.end(60))
            await asyncio.sleep(0)
            gate.listening.clients.hurry()
            assert b"message_stop" not in await raw.rest()
            await asyncio.wait_for(ending, 1)
            await asyncio.wait_for(provider.left.wait(), 1)


async def test_hundreds_of_streams_and_idle_connections_leave_nothing_behind() -> None:
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    async with serving(streams(chat_stream("a", "b"))) as provider, front(provider.url) as gate:
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(_idle_then_stream(gate, asks=number % 3 == 0))
        assert len(gate.listening.clients._open) <= 1
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 5


async def _idle_then_stream(gate: Front, *, asks: bool) -> None:
    async with gate.connection() as raw:
        await asyncio.sleep(0.05)
        if asks:
            await raw.send(post(STREAMED, headers=b"connection: close\r\n"))
            assert b"message_stop" in await raw.rest()
