"""A mock on a socket: what clients of each dialect get of it, and how it is told what to do."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from portbroker.conversation import AnswerContext, Report
from portbroker.dialects.registry import DIALECTS
from portbroker.mock import CONTROL, Mock, serving
from portbroker.sse import SSEParser

PROMPT = {"role": "user", "content": "hello there"}
TOOL = {"type": "object", "properties": {}}
ASKS: dict[str, dict[str, Any]] = {
    "openai.chat": {
        "messages": [PROMPT],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": TOOL}}],
    },
    "openai.responses": {"input": [PROMPT], "tools": [{"type": "function", "name": "look", "parameters": TOOL}]},
    "anthropic.messages": {"max_tokens": 9, "messages": [PROMPT], "tools": [{"name": "look", "input_schema": TOOL}]},
}
DIALECT = pytest.mark.parametrize("dialect", list(ASKS))


class Client:
    """A client of one mock."""

    def __init__(self, session: aiohttp.ClientSession, mock: Mock) -> None:
        self.session, self.mock = session, mock

    async def ask(self, dialect: str, model: str = "m", *, stream: bool = False, told: str = "") -> tuple[int, bytes]:
        url = f"{self.mock.url}/v1{DIALECTS[dialect].path}"
        body: dict[str, Any] = {"model": model, "stream": stream, **ASKS[dialect]}
        if stream and dialect == "openai.chat":
            body["stream_options"] = {"include_usage": True}
        async with self.session.post(url, json=body, headers={"x-mock": told} if told else {}) as answer:
            return answer.status, await answer.read()

    async def tell(self, **body: Any) -> dict[str, Any]:
        async with self.session.post(self.mock.url + CONTROL, json=body) as answer:
            told: dict[str, Any] = await answer.json()
            return told

    async def standing(self) -> dict[str, Any]:
        async with self.session.get(self.mock.url + CONTROL) as answer:
            standing: dict[str, Any] = await answer.json()
            return standing


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[Client]:
    async with serving(Mock("one", pace=0)) as mock, aiohttp.ClientSession() as session:
        yield Client(session, mock)


def read_stream(dialect: str, raw: bytes) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The canonical events of a stream, as the gateway would read it from a provider, and its usage."""
    decoder = DIALECTS[dialect].stream_decoder(AnswerContext(), Report())
    events = []
    for _, data in SSEParser().feed(raw):
        events += decoder.done() if data == b"[DONE]" else decoder.feed(json.loads(data))
    events += decoder.finish()
    return events, decoder.usage


@DIALECT
async def test_an_answer_is_one_of_its_dialect(dialect: str) -> None:
    async with client() as one:
        status, raw = await one.ask(dialect)
        answer = DIALECTS[dialect].decode_answer(json.loads(raw), AnswerContext(), Report())
        assert status == 200
        assert answer["content"][0]["text"] == "Mock answer 1 of one. You said: “hello there”. That is all."
        assert answer["usage"]["input_tokens"] > 0
        assert answer["usage"]["output_tokens"] > 0


@DIALECT
async def test_a_stream_says_the_same_word_by_word(dialect: str) -> None:
    async with client() as one:
        _, raw = await one.ask(dialect, stream=True)
        events, usage = read_stream(dialect, raw)
        words = [e["delta"]["text"] for e in events if e.get("delta", {}).get("type") == "text_delta"]
        assert "".join(words) == "Mock answer 1 of one. You said: “hello there”. That is all."
        assert len(words) > 5
        assert usage is not None
        assert usage["output_tokens"] > 0


@DIALECT
async def test_a_tool_is_called_by_the_name_that_it_has_in_the_call(dialect: str) -> None:
    async with client() as one:
        _, raw = await one.ask(dialect, "tool")
        answer = DIALECTS[dialect].decode_answer(json.loads(raw), AnswerContext(), Report())
        assert [block["name"] for block in answer["content"]] == ["look"]
        _, raw = await one.ask(dialect, "tool", stream=True)
        starts = [e["content_block"] for e in read_stream(dialect, raw)[0] if e["type"] == "content_block_start"]
        assert [start["name"] for start in starts] == ["look"]


@DIALECT
@pytest.mark.parametrize(("model", "status"), [("fail-429", 429), ("fail-503", 503), ("overflow", 400)])
async def test_an_error_has_its_status_and_the_shape_of_its_dialect(dialect: str, model: str, status: int) -> None:
    async with client() as one:
        got, raw = await one.ask(dialect, model, stream=True)
        assert got == status
        error = json.loads(raw)["error"]
        assert ("prompt is too long" in error["message"]) == (model == "overflow")


@DIALECT
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cut_answer_breaks_off(dialect: str, stream: bool) -> None:
    async with client() as one:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await one.ask(dialect, "cut-after-2", stream=stream)
        with pytest.raises(aiohttp.ClientOSError):
            await one.ask(dialect, "reset", stream=stream)


@DIALECT
async def test_an_error_comes_in_the_midst_of_a_stream(dialect: str) -> None:
    async with client() as one:
        status, raw = await one.ask(dialect, "error-in-stream", stream=True)
        assert status == 200
        assert b"Mock" in raw
        assert b"as it was told to be" in raw
        assert b"That is all" not in raw


async def test_a_body_can_be_worthless() -> None:
    async with client() as one:
        assert await one.ask("openai.chat", "empty") == (200, b"")
        status, raw = await one.ask("openai.chat", "html", stream=True)
        assert (status, raw[:6]) == (200, b"<html>")


async def test_an_outage_is_switched_on_and_off() -> None:
    async with client() as one:
        assert (await one.ask("openai.chat"))[0] == 200
        assert (await one.tell(behaviour="fail-503"))["behaviour"] == "fail-503"
        assert (await one.ask("openai.chat"))[0] == 503
        assert (await one.ask("openai.chat", told="plain"))[0] == 200
        assert (await one.tell(behaviour=None))["behaviour"] is None
        assert (await one.ask("openai.chat"))[0] == 200
        standing = await one.standing()
        assert standing["by_behaviour"] == {"plain": 3, "fail-503": 1}
        assert (standing["calls"], standing["by_model"]) == (4, {"m": 4})


async def test_a_call_hangs_until_its_client_leaves() -> None:
    async with client() as one:
        call = asyncio.create_task(one.ask("openai.chat", "hang"))
        while (await one.standing())["open"] == 0:
            await asyncio.sleep(0.01)
        call.cancel()
        while (await one.standing())["open"]:
            await asyncio.sleep(0.01)
        assert call.cancelled() or call.cancelling()


async def test_what_it_cannot_read_is_refused_as_a_provider_would() -> None:
    async with client() as one:
        assert "is no behaviour" in (await one.tell(behaviour="explode"))["error"]["message"]
        assert "null for none" in (await one.tell(outage=True))["error"]["message"]
        assert (await one.ask("openai.chat", told="explode"))[0] == 400
        for data, status in ((b"[]", 400), (b"{", 400), (b'{"model": 5}', 400)):
            async with one.session.post(one.mock.url + "/v1/messages", data=data) as answer:
                assert answer.status == status
                assert (await answer.json())["type"] == "error"
        async with one.session.get(one.mock.url + "/v1/messages") as answer:
            assert answer.status == 404


async def test_a_client_that_leaves_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Mock("one", pace=0)) as mock:
        port = int(mock.url.rpartition(":")[2])
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            body = json.dumps({"model": "slow-10ms", "stream": True, **ASKS["openai.chat"]}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        while mock.open or mock.calls < 20:
            await asyncio.sleep(0.005)
    assert not caplog.records
