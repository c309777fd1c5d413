"""What providers do wrong, through the whole gateway: what the grid of all faults does not say."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portbroker import relay
from tests.providers import (
    Json,
    anthropic_answer,
    anthropic_stream,
    chat_answer,
    chat_chunk,
    chat_stream,
    serving,
    sse,
    streams,
)
from tests.test_gateway import ASK, CHAT_ASK, Client, gateway
from tests.wire_providers import LAST, STREAM, Script, Wire, chunk, response, says, scripted

SECRET = "sk-secret-0123456789abcdef"
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions"}


def config(*urls: str, speaks: str = "chat", first_byte: float = 2, idle: float = 2, total: float = 10) -> str:
    """Providers in order of priority that all speak one dialect."""
    kind = "anthropic" if speaks == "anthropic" else "custom"
    return "retry: {same_target: 0}\nproviders:\n" + "".join(
        f"  - {{name: P{n}, provider_type: {kind}, base_url: '{url}/v1', api_key: {SECRET}, priority: {n}, models: [m],"
        f" timeout: {{connect: 1, first_byte: {first_byte}, idle: {idle}, total: {total}}}}}\n"
        for n, url in enumerate(urls, 1)
    )


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a provider does, the log has neither a traceback nor a secret."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert SECRET not in "".join(record.getMessage() for record in records)


@asynccontextmanager
async def between(script: Script, *, second: bool = False, speaks: str = "chat", **times: float) -> AsyncIterator[Any]:
    """A client of a gateway whose first provider follows the script, and whose second one is sound."""
    sound = scripted(_sound(speaks))
    async with scripted(script) as first, sound as other:
        urls = (first.url, other.url) if second else (first.url,)
        async with gateway(config(*urls, speaks=speaks, **times)) as client:
            yield client, first


def _sound(speaks: str) -> Script:
    """A provider that answers as it should, streamed if asked."""

    async def script(wire: Wire) -> None:
        while True:
            streamed = json.loads((await wire.request()).partition(b"\r\n\r\n")[2]).get("stream")
            body, kind = _good(speaks, streamed), "text/event-stream" if streamed else "application/json"
            await wire.send(response(body, kind=kind))

    return script


def _good(speaks: str, streamed: bool) -> bytes:
    if speaks == "chat":
        return chat_stream("sound") if streamed else json.dumps(chat_answer("sound")).encode()
    return anthropic_stream("sound") if streamed else json.dumps(anthropic_answer("sound")).encode()


async def asked(client: Client, says: str, *, stream: bool) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one call in this dialect."""
    ask = ASK if says == "anthropic" else CHAT_ASK
    answer, raw = await client.post(PATHS[says], {**ask, "model": "m", "stream": stream})
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert SECRET not in f"{headers}"
    assert SECRET.encode() not in raw
    return answer.status, headers, raw


def told(says: str, raw: bytes) -> Json:
    """The error in a body, in its dialect."""
    body = json.loads(raw)
    assert (body.get("type") == "error") == (says == "anthropic")
    assert isinstance(body["error"]["message"], str)
    assert body["error"]["message"]
    error: Json = body["error"]
    return error


def events_of(raw: bytes) -> list[Json]:
    """The events of a client's stream; every one of them whole."""
    lines = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    return [{"type": "done"} if line == "[DONE]" else json.loads(line) for line in lines]


DIALECTS = [("anthropic", "chat"), ("chat", "anthropic"), ("anthropic", "anthropic"), ("chat", "chat")]
SPOKEN = pytest.mark.parametrize(("says_", "speaks"), DIALECTS, ids=[f"{a}-to-{b}" for a, b in DIALECTS])


async def test_a_redirect_takes_no_credential_elsewhere() -> None:
    async with scripted(_sound("chat")) as elsewhere:
        target = f"location: {elsewhere.url}/v1/chat/completions\r\n".encode()
        async with between(says(response(b"", "307 Temporary Redirect", headers=target))) as (client, _):
            assert (await asked(client, "anthropic", stream=False))[0] == 502
            assert elsewhere.connections == 0


async def test_a_smuggled_second_answer_reaches_no_other_call() -> None:
    other = json.dumps(chat_answer("of another")).encode()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response(json.dumps(chat_answer("mine")).encode()) + response(other))
        await wire.gone()

    async with between(script) as (client, provider):
        for _ in range(3):
            status, _, raw = await asked(client, "anthropic", stream=False)
            assert b"of another" not in raw
            assert status == 502
        assert provider.connections == 3


async def test_a_stale_connection_is_replaced_unseen() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response(json.dumps(chat_answer("ok")).encode()))
        await wire.reader.readuntil(b"\r\n\r\n")  # the next call comes, and the connection is cut
        wire.reset()

    async with between(script) as (client, provider):
        for count in (1, 2, 3):
            status, headers, _ = await asked(client, "anthropic", stream=False)
            assert (status, headers["x-portbroker-attempts"], provider.connections) == (200, "1", count)


BEGUN = {
    "chat": sse(chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "Hel"})),
    "anthropic": anthropic_stream("Hel").partition(b"event: content_block_stop")[0],
}
HALF = {
    "chat": sse(chat_chunk({"content": "lo wor"}))[:-30],
    "anthropic": b'event: content_block_delta\ndata: {"type": "c',
}


async def test_comments_alone_do_not_keep_a_dead_stream_alive() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM, chunk(BEGUN["chat"]))
        while True:
            await wire.send(chunk(b": keep-alive\n\n"))
            await asyncio.sleep(0.01)

    async with between(script, idle=0.2) as (client, _):
        _, _, raw = await asked(client, "anthropic", stream=True)
        assert "fell silent" in events_of(raw)[-1]["error"]["message"]


async def test_an_answer_has_a_time_in_which_it_must_be_complete() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM)
        while True:
            await wire.send(chunk(sse(chat_chunk({"content": "x"}))))
            await asyncio.sleep(0.01)

    async with between(script, total=0.3) as (client, _):
        _, _, raw = await asked(client, "anthropic", stream=True)
        assert "did not complete its answer" in events_of(raw)[-1]["error"]["message"]


async def test_an_endless_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "WHOLE_LIMIT", 1_000_000)
    monkeypatch.setattr(relay, "ERROR_LIMIT", 1_000_000)
    for status in (b"200 OK", b"500 Oops"):
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n" % status

        async def script(wire: Wire, head: bytes = head) -> None:
            await wire.request()
            await wire.send(head)
            while True:
                await wire.send(chunk(b" " * 100_000))

        async with between(script) as (client, provider):
            status_, _, raw = await asked(client, "anthropic", stream=False)
            assert status_ in (502, 500)
            assert "larger" in told("anthropic", raw)["message"]
            await asyncio.wait_for(provider.left.wait(), 1)


@SPOKEN
async def test_what_follows_the_end_of_a_stream_is_not_seen(says_: str, speaks: str) -> None:
    garbage = chunk(b"data: {garbage\n\n" * 50 + b"data: [DONE]\n\n" + b"event: error\ndata: {}\n\n")
    whole = _good(speaks, streamed=True)
    async with between(says(STREAM, chunk(whole), garbage, LAST), speaks=speaks) as (client, _):
        _, _, raw = await asked(client, says_, stream=True)
        assert events_of(raw)[-1]["type"] in ("done", "message_stop")
        assert b"sound" in raw


@SPOKEN
@pytest.mark.parametrize("goes_on", [False, True], ids=["silent", "goes-on"])
async def test_a_stream_that_does_not_end_is_ended(
    goes_on: bool, says_: str, speaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "END_AFTER", 0.05)
    whole = _good(speaks, streamed=True)
    marks = {"chat": b'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": '
             b'"upstream-model", "choices": [], ', "anthropic": b"event: message_stop"}  # fmt: skip
    unended = whole[: whole.index(marks[speaks])]

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM, chunk(unended))
        while goes_on:
            await wire.send(chunk(sse({**chat_chunk({}), "choices": []}) if speaks == "chat" else b": x\n\n"))
            await asyncio.sleep(0.005)
        await wire.gone()

    async with between(script, speaks=speaks) as (client, provider):
        _, _, raw = await asyncio.wait_for(asked(client, says_, stream=True), 1)
        assert not any("error" in event for event in events_of(raw))
        await asyncio.wait_for(provider.left.wait(), 1)


async def test_a_provider_that_stays_after_the_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "END_AFTER", 0.05)
    async with between(says(STREAM, chunk(chat_stream("Hi")), then="hang")) as (client, provider):
        _, _, raw = await asked(client, "anthropic", stream=True)
        assert events_of(raw)[-1]["type"] == "message_stop"
        await asyncio.wait_for(provider.left.wait(), 1)


@SPOKEN
async def test_a_silent_stream_is_kept_alive_for_the_client(
    says_: str, speaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PING_AFTER", 0.05)
    script = says(STREAM, chunk(BEGUN[speaks] + HALF[speaks]), then="hang")
    async with between(script, speaks=speaks, idle=0.3) as (client, _):
        _, _, raw = await asked(client, says_, stream=True)
        pings = raw.count(b"event: ping") if says_ == "anthropic" else raw.count(b": ping")
        assert pings >= 4
        assert "fell silent" in events_of(raw)[-1]["error"]["message"]


@pytest.mark.parametrize("comments", [b"", b": PROCESSING\n\n"], ids=["nothing", "comments"])
async def test_a_stream_that_has_not_spoken_is_kept_alive_when_nobody_else_could_answer(
    comments: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PING_AFTER", 0.03)
    said = (STREAM, chunk(comments)) if comments else (STREAM,)
    async with between(says(*said, then="hang"), idle=0.2) as (client, _):
        status, _, raw = await asked(client, "anthropic", stream=True)
        assert status == 200
        assert raw.count(b": ping") >= 3
        assert events_of(raw)[-1]["type"] == "error"
    async with between(says(STREAM, then="hang"), second=True, idle=0.2) as (client, _):
        status, headers, raw = await asked(client, "anthropic", stream=True)
        assert (status, headers["x-portbroker-attempts"]) == (200, "2")


@SPOKEN
async def test_a_stream_cut_at_every_byte_is_the_same_stream(says_: str, speaks: str) -> None:
    whole = _good(speaks, streamed=True)

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(STREAM, *(chunk(whole[i : i + 1]) for i in range(len(whole))), LAST)

    async with between(script, speaks=speaks) as (client, _):
        _, _, raw = await asked(client, says_, stream=True)
        pieces = events_of(raw)
    async with between(_sound(speaks), speaks=speaks) as (client, _):
        _, _, raw = await asked(client, says_, stream=True)
    assert [_without_ids(event) for event in pieces] == [_without_ids(event) for event in events_of(raw)]


def _without_ids(event: Json) -> Json:
    return {name: value for name, value in event.items() if name not in ("id", "created", "message")}


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\r\r"], ids=["lf", "crlf", "cr"])
@SPOKEN
async def test_line_ends_bom_and_a_missing_last_line_change_nothing(ends: bytes, says_: str, speaks: str) -> None:
    whole = _good(speaks, streamed=True).replace(b"sound", "s\u2028ound".encode())
    whole = b"\xef\xbb\xbf" + whole.replace(b"\n", ends[: len(ends) // 2]).rstrip()
    third = len(whole) // 3
    pieces = [chunk(whole[:third]), chunk(whole[third : 2 * third]), chunk(whole[2 * third :])]
    async with between(says(STREAM, *pieces, LAST), speaks=speaks) as (client, _):
        _, _, raw = await asked(client, says_, stream=True)
        text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
        seen = [json.loads(line[6:]) for line in text.split("\n") if line[:7] == "data: {"]
        assert "s\u2028ound" in "".join(json.dumps(event, ensure_ascii=False) for event in seen)
        assert not any("error" in event for event in seen)


@pytest.mark.parametrize(
    ("value", "passed"),
    [("7", "7"), ("1.5", "1.5"), ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"), ("-5", None),
     ("9" * 2000, None)],
    ids=["seconds", "fraction", "date", "negative", "huge"],
)  # fmt: skip
@pytest.mark.parametrize("says_", ["anthropic", "chat"])
async def test_a_time_to_wait_is_passed_on_when_it_is_one(value: str, passed: str | None, says_: str) -> None:
    headers = f"retry-after: {value}\r\nx-should-retry: true\r\n".encode("latin-1")
    limited = response(b'{"error":{"message":"slow down"}}', "429 Too Many Requests", headers=headers)
    async with between(says(limited)) as (client, _):
        status, got, _ = await asked(client, says_, stream=False)
        assert status == 429
        assert got.get("retry-after") == passed
        assert got.get("x-should-retry") == "true"


@pytest.mark.parametrize("count", [-5, 1e300, 2.5, "many", None, True, [], 10**18, {"a": 1}], ids=repr)
@SPOKEN
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_senseless_usage_harms_no_answer(count: Any, stream: bool, says_: str, speaks: str) -> None:
    whole = _good(speaks, stream)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"):
        for old in (12, 3, 15):
            whole = whole.replace(f'"{name}": {old}'.encode(), f'"{name}": {json.dumps(count)}'.encode())
    kind = "text/event-stream" if stream else "application/json"
    async with between(says(response(whole, kind=kind)), speaks=speaks) as (client, _):
        status, _, raw = await asked(client, says_, stream=stream)
        assert status == 200
        assert b"sound" in raw
        if says_ != speaks:
            for usage in _usages(events_of(raw) if stream else [json.loads(raw)]):
                numbers = [n for name, n in usage.items() if name.endswith("_tokens")]
                assert numbers
                assert all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers), usage


def _usages(bodies: list[Json]) -> list[Json]:
    return [
        usage for body in bodies for usage in (body.get("usage"), (body.get("message") or {}).get("usage")) if usage
    ]


async def test_a_header_of_a_provider_cannot_end_ours() -> None:
    headers = (
        b"request-id: a\xff\xfeb\r\nretry-after: 5\xa0\r\nx-ratelimit-limit-requests: 5\xe9\r\nconnection: close\r\n"
    )
    good = response(json.dumps(chat_answer("Hi")).encode(), headers=headers)
    async with between(says(good)) as (client, _):
        status, got, _ = await asked(client, "anthropic", stream=False)
        assert status == 200
        assert all(value.isascii() and value.isprintable() for value in got.values())


async def test_a_healthy_provider_is_not_asked_twice_for_a_long_answer() -> None:
    async with serving(streams(chat_stream("x" * 500_000))) as provider:
        async with gateway(config(provider.url)) as client:
            _, _, raw = await asked(client, "anthropic", stream=True)
            assert raw.count(b"x") >= 500_000
            assert len(provider.seen) == 1
