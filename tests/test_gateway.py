"""Calls through the whole gateway: a real client, a real gateway, a real provider, all on sockets."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portbroker.app import running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from tests.providers import (
    FakeProvider,
    Json,
    answers,
    anthropic_answer,
    anthropic_stream,
    chat_answer,
    chat_chunk,
    chat_stream,
    events,
    in_turn,
    serving,
    sse,
    streams,
)

ASK: Json = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
CHAT_ASK: Json = {"model": "big", "messages": [{"role": "user", "content": "hi"}]}


class Client:
    """A client of one gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def post(self, path: str, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(self.url + path, data=io.BytesIO(data), headers=headers) as response:
            return response, await response.read()

    async def ask(self, **more: Any) -> tuple[aiohttp.ClientResponse, Json]:
        response, raw = await self.post("/v1/messages", {**ASK, **more})
        return response, json.loads(raw)

    async def stream(self, **more: Any) -> tuple[aiohttp.ClientResponse, list[Json]]:
        response, raw = await self.post("/v1/messages", {**ASK, "stream": True, **more})
        return response, [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]


def config(*urls: str, provider_type: str = "custom", extra: str = "") -> str:
    """One provider a URL, in order of priority."""
    providers = "".join(
        f"  - name: P{i}\n    provider_type: {provider_type}\n    base_url: {url}/v1\n    api_key: sk-secret-{i}\n"
        f"    priority: {i}\n    big_model: big-{i}\n    small_model: small-{i}\n    models: [big]\n"
        f"    timeout: {{connect: 1, first_byte: 2, idle: 2}}\n"
        for i, url in enumerate(urls, 1)
    )
    return f"providers:\n{providers}{extra}"


@contextlib.asynccontextmanager
async def gateway(text: str) -> AsyncIterator[Client]:
    snapshot = compile_snapshot(load_text(text.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={}))
    async with (
        running(snapshot, host="127.0.0.1", port=0, max_body=4 * 1024 * 1024) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        yield Client(session, listening.url)


async def test_an_anthropic_call_is_answered_by_a_chat_provider() -> None:
    async with serving(answers(chat_answer("Hello"))) as provider, gateway(config(provider.url)) as client:
        response, body = await client.ask(system="Be brief.")
        assert response.status == 200
        assert body["content"] == [{"type": "text", "text": "Hello"}]
        assert body["model"] == "claude-haiku-4-5"
        assert body["usage"]["input_tokens"] == 12
        assert provider.last.path == "/v1/chat/completions"
        assert provider.last.body["model"] == "small-1"
        assert provider.last.body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert provider.last.headers["authorization"] == "Bearer sk-secret-1"
        assert response.headers["x-portbroker-provider"] == "P1"
        assert response.headers["x-portbroker-model"] == "small-1"
        assert response.headers["x-portbroker-attempts"] == "1"
        assert response.headers["request-id"] == response.headers["x-request-id"]
        assert len(response.headers["x-portbroker-revision"]) == 12


async def test_an_anthropic_stream_comes_from_a_chat_stream() -> None:
    behave = streams(chat_stream("Hel", "lo"))
    async with serving(behave) as provider, gateway(config(provider.url)) as client:
        response, seen = await client.stream()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert [e["type"] for e in seen] == [
            "message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta",
            "content_block_stop", "message_delta", "message_stop",
        ]  # fmt: skip
        assert "".join(e["delta"]["text"] for e in seen if e["type"] == "content_block_delta") == "Hello"
        assert provider.last.body["stream_options"] == {"include_usage": True}


async def test_a_chat_call_is_answered_by_an_anthropic_provider() -> None:
    async with serving(answers(anthropic_answer("Hello"))) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            response, raw = await client.post("/v1/chat/completions", CHAT_ASK)
            body = json.loads(raw)
            assert response.status == 200
            assert body["choices"][0]["message"]["content"] == "Hello"
            assert body["usage"]["prompt_tokens"] == 12
            assert provider.last.path == "/v1/messages"
            assert provider.last.headers["x-api-key"] == "sk-secret-1"
            assert provider.last.headers["anthropic-version"] == "2023-06-01"
            assert "authorization" not in provider.last.headers


async def test_a_chat_stream_comes_from_an_anthropic_stream() -> None:
    async with serving(streams(anthropic_stream("Hel", "lo"))) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            _, raw = await client.post("/v1/chat/completions", {**CHAT_ASK, "stream": True})
            lines = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
            assert lines[-1] == "[DONE]"
            deltas = [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
            assert "".join(deltas) == "Hello"


async def test_the_same_dialect_passes_bytes() -> None:
    answer = b'{"id": "msg_1",  "type":"message","role":"assistant","content":[],"model":"m","future":{"a":1},' \
        b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}'  # fmt: skip
    async with serving(answers(answer, headers={"content-type": "application/json"})) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            asked = json.dumps({**ASK, "future_field": {"deep": [1]}}).encode()
            _, raw = await client.post("/v1/messages?beta=true", asked, **{"anthropic-beta": "b1,b2"})
            assert raw == answer
            assert provider.last.path == "/v1/messages?beta=true"
            assert provider.last.headers["anthropic-beta"] == "b1,b2"
            assert provider.last.body == {**ASK, "model": "small-1", "future_field": {"deep": [1]}}


async def test_a_passed_stream_keeps_its_bytes() -> None:
    stream = anthropic_stream("Hel", "lo")
    async with serving(streams(stream[:37], stream[37:200], stream[200:])) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            _, raw = await client.post("/v1/messages", {**ASK, "stream": True})
            assert raw == stream


async def test_usage_that_only_the_gateway_asked_for_does_not_reach_the_client() -> None:
    async with serving(streams(chat_stream("Hello"))) as provider, gateway(config(provider.url)) as client:
        _, raw = await client.post("/v1/chat/completions", {**CHAT_ASK, "stream": True})
        assert b"Hello" in raw
        assert b"prompt_tokens" not in raw
        assert provider.last.body["stream_options"] == {"include_usage": True}
        _, raw = await client.post(
            "/v1/chat/completions", {**CHAT_ASK, "stream": True, "stream_options": {"include_usage": True}}
        )
        assert b"prompt_tokens" in raw


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529, 401, 403])
async def test_a_failing_provider_is_replaced_by_the_next(status: int) -> None:
    error = {"error": {"message": "no", "type": "x", "code": None}}
    async with serving(answers(error, status)) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(config(first.url, second.url)) as client:
            response, body = await client.ask()
            assert response.status == 200
            assert body["content"][0]["text"] == "two"
            assert response.headers["x-portbroker-attempts"] == "2"
            assert response.headers["x-portbroker-provider"] == "P2"
            assert len(first.seen) == 1


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_fault_of_the_caller_is_not_tried_elsewhere(status: int) -> None:
    error = {"error": {"message": "bad field", "type": "invalid_request_error", "param": None, "code": None}}
    async with serving(answers(error, status)) as first, serving(answers(chat_answer())) as second:
        async with gateway(config(first.url, second.url)) as client:
            response, body = await client.ask()
            assert response.status in (400, 404, 413)
            assert body["error"]["message"] == "bad field"
            assert second.seen == []


@pytest.mark.parametrize(
    "behave",
    [
        streams(sse({"error": {"message": "overloaded", "code": 503}})),
        streams(sse(chat_chunk({"role": "assistant", "content": ""}), {"error": {"message": "x"}})),
        streams(),
        streams(sse(chat_chunk({"role": "assistant", "content": ""}))),
        streams(b"data: [DONE]\n\n"),
        streams(sse(chat_chunk({"role": "assistant", "content": ""})), then="cut"),
        streams(then="cut"),
        answers(b"<html><title>Gateway busy</title></html>", headers={"content-type": "text/html"}),
        answers(b"null", headers={"content-type": "application/json"}),
        answers(b"", headers={"content-type": "application/json"}),
    ],
    ids=["error-first", "error-after-role", "empty", "role-only", "done-only", "cut-after-role", "cut", "html", "null",
         "nothing"],
)  # fmt: skip
async def test_a_stream_that_says_nothing_good_is_replaced_unseen(behave: Any) -> None:
    async with serving(behave) as first, serving(streams(chat_stream("two"))) as second:
        async with gateway(config(first.url, second.url)) as client:
            response, seen = await client.stream()
            assert response.status == 200
            assert [e["type"] for e in seen].count("message_start") == 1
            assert seen[-1]["type"] == "message_stop"
            assert response.headers["x-portbroker-attempts"] == "2"


async def test_a_stream_that_breaks_after_content_ends_with_an_error_event() -> None:
    behave = streams(sse(chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "Hel"})), then="cut")
    async with serving(behave) as first, serving(streams(chat_stream("two"))) as second:
        async with gateway(config(first.url, second.url)) as client:
            _, seen = await client.stream()
            assert seen[-1]["type"] == "error"
            assert "message_stop" not in [e["type"] for e in seen]
            assert second.seen == []


async def test_a_refused_connection_is_replaced_by_the_next() -> None:
    async with serving(answers(chat_answer("two"))) as second:
        async with gateway(config("http://127.0.0.1:1", second.url)) as client:
            response, _ = await client.ask()
            assert response.headers["x-portbroker-attempts"] == "2"


async def test_when_every_provider_fails_the_client_is_told_in_its_dialect() -> None:
    async with gateway(config("http://127.0.0.1:1", "http://127.0.0.1:1")) as client:
        response, body = await client.ask()
        assert response.status == 502
        assert body["type"] == "error"
        assert body["error"]["type"] == "api_error"
        assert "P1" in body["error"]["message"]
        assert "P2" in body["error"]["message"]
        assert body["request_id"] == response.headers["request-id"]
        assert "sk-secret" not in json.dumps(body)


async def test_a_context_overflow_is_never_hidden_by_another_failure() -> None:
    overflow = {"error": {"message": "maximum context length is 8192 tokens. However, your messages resulted in 9000 "
                          "tokens", "type": "invalid_request_error", "code": "context_length_exceeded"}}  # fmt: skip
    async with serving(answers(overflow, 400)) as second:
        async with gateway(config("http://127.0.0.1:1", second.url)) as client:
            response, body = await client.ask()
            assert response.status == 400
            assert body["error"]["message"].startswith("prompt is too long")


async def test_answers_with_the_same_short_id_are_different_messages() -> None:
    async with serving(answers(chat_answer())) as provider, gateway(config(provider.url)) as client:
        ids = {(await client.ask())[1]["id"] for _ in range(2)}
        provider.behave = streams(chat_stream("Hello"))
        ids |= {(await client.stream())[1][0]["message"]["id"] for _ in range(2)}
        assert len(ids) == 4


async def test_the_attempt_ends_when_the_client_leaves() -> None:
    chunks = sse(chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "Hel"}))
    async with serving(streams(chunks, then="hang")) as provider, gateway(config(provider.url)) as client:
        async with client.session.post(
            client.url + "/v1/messages", data=json.dumps({**ASK, "stream": True})
        ) as response:
            await response.content.readany()
            response.close()
        await asyncio.wait_for(provider.disconnected.wait(), 2)


async def test_the_attempt_ends_when_the_client_leaves_before_the_first_byte() -> None:
    async with serving(streams(then="hang")) as provider, gateway(config(provider.url)) as client:
        asking = asyncio.create_task(client.ask())
        while not provider.seen:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait_for(provider.disconnected.wait(), 2)


async def test_a_provider_that_does_not_stream_although_asked_still_streams_to_the_client() -> None:
    async with serving(answers(chat_answer("Hello"))) as provider, gateway(config(provider.url)) as client:
        _, seen = await client.stream()
        assert seen[0]["type"] == "message_start"
        assert seen[-1]["type"] == "message_stop"
        assert "".join(e["delta"].get("text", "") for e in seen if e["type"] == "content_block_delta") == "Hello"


async def test_loss_is_reported_and_refused_on_demand() -> None:
    async with serving(answers(chat_answer())) as provider, gateway(config(provider.url)) as client:
        response, _ = await client.ask(top_k=5)
        assert response.headers["x-portbroker-adaptations"] == "dropped:top_k"
        response, raw = await client.post("/v1/messages", {**ASK, "top_k": 5}, **{"x-portbroker-strict": "1"})
        assert response.status == 400
        assert "top_k" in json.loads(raw)["error"]["message"]
        assert len(provider.seen) == 1


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "not-json": b"{",
    "a-list": b"[]",
    "null": b"null",
    "no-model": b'{"messages": []}',
    "model-number": b'{"model": 5, "messages": []}',
    "messages-text": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": "hi"}',
    "message-number": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [5]}',
    "role": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": 5, "content": "x"}]}',
    "content-number": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": 5}]}',
    "block-number": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": [5]}]}',
    "stream-text": b'{"model": "claude-haiku-4-5", "stream": "yes", "messages": []}',
    "nested": b'{"model": "claude-haiku-4-5", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "brackets": b"[" * 100_000,
    "surrogate": b'{"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "nan": b'{"model": "claude-haiku-4-5", "max_tokens": NaN, "messages": []}',
    "not-utf-8": b'{"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "\xff"}]}',
    "tools-text": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [], "tools": "x"}',
    "tool-number": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [], "tools": [1]}',
    "tool-choice": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [], "tool_choice": 1}',
    "system-number": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [], "system": 1}',
    "endless": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [' + b"{}," * 20_000 + b"{}]}",
    "thinking": b'{"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [], "thinking": 1}',
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_malformed_body_is_the_callers_fault_in_its_dialect(name: str, path: str) -> None:
    other = "anthropic" if path == "/v1/chat/completions" else "custom"
    async with serving(answers(chat_answer())) as provider:
        async with gateway(config(provider.url, provider_type=other)) as client:
            response, raw = await client.post(path, BAD_BODIES[name])
            body = json.loads(raw)
            assert 400 <= response.status < 500 or (response.status, other) == (200, "anthropic"), (
                response.status,
                body,
            )
            assert body["error"]["message"]
            assert ("type" in body) == (path == "/v1/messages")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_body_of_forty_megabytes_is_too_large(path: str) -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        response, raw = await client.post(path, b" " * 40_000_000)
        assert response.status == 413
        assert "too large" in raw.decode() or "larger" in raw.decode()


async def test_an_unknown_model_is_named_with_its_nearest() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        response, raw = await client.post("/v1/messages", {**ASK, "model": "bigg"})
        assert response.status == 404
        assert json.loads(raw)["error"]["type"] == "not_found_error"
        assert "big" in json.loads(raw)["error"]["message"]


async def test_a_provider_can_be_addressed_directly() -> None:
    async with serving(answers(chat_answer())) as provider, gateway(config(provider.url)) as client:
        response, _ = await client.post("/v1/messages", {**ASK, "model": "P1/some-model"})
        assert response.status == 200
        assert provider.last.body["model"] == "some-model"


async def test_paths_and_methods_that_are_not_served_are_said_so_in_the_dialect_of_the_path() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        response, raw = await client.post("/v1/messages/nothing", {})
        assert response.status == 404
        assert json.loads(raw)["type"] == "error"
        response, raw = await client.post("/v1/nothing", {})
        assert response.status == 404
        assert set(json.loads(raw)["error"]) == {"message", "type", "param", "code"}
        async with client.session.get(client.url + "/v1/messages") as answer:
            assert answer.status == 405
            assert answer.headers["allow"] == "POST"
            assert (await answer.json())["type"] == "error"


async def test_probes_are_answered() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        for path in ("/", "/health", "/v1/models"):
            async with client.session.get(client.url + path) as answer:
                assert answer.status == 200
                assert isinstance(await answer.json(), dict)
            async with client.session.head(client.url + path) as answer:
                assert answer.status == 200


async def test_a_header_cannot_be_injected_through_a_model_name() -> None:
    async with serving(answers(chat_answer())) as provider, gateway(config(provider.url)) as client:
        response, _ = await client.post("/v1/messages", {**ASK, "model": "P1/m\r\nx-evil: 1"})
        assert response.status == 200
        assert "x-evil" not in response.headers
        assert response.headers["x-portbroker-model"] == "m??x-evil: 1"


async def test_usage_from_a_provider_without_any_is_marked_as_estimated() -> None:
    answer = {k: v for k, v in chat_answer().items() if k != "usage"}
    async with serving(answers(answer)) as provider, gateway(config(provider.url)) as client:
        response, body = await client.ask()
        assert response.headers["x-portbroker-usage"] == "estimated"
        assert body["usage"]["input_tokens"] > 0


async def test_a_slow_client_holds_the_provider_back() -> None:
    text = "x" * 65536
    count = 400
    sent = 0

    async def behave(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        nonlocal sent
        response = aiohttp.web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(count):
            await response.write(sse(chat_chunk({"content": text})))
            sent += 1
        await response.write(sse(chat_chunk({}, "stop"), "[DONE]"))
        return response

    async with serving(behave) as provider, gateway(config(provider.url)) as client:
        async with client.session.post(
            client.url + "/v1/messages", data=json.dumps({**ASK, "stream": True}), read_bufsize=2**16
        ) as response:
            before = -1
            while sent != before:  # until the provider can send no more
                before = sent
                await asyncio.sleep(0.2)
            assert sent < count
            received = await response.read()
        assert received.count(text.encode()) == count


async def test_an_error_event_of_a_passed_stream_reaches_the_client_once() -> None:
    stream = anthropic_stream("Hel").split(b"event: content_block_stop")[0]
    error = events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    async with serving(streams(stream, error)) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            _, raw = await client.post("/v1/messages", {**ASK, "stream": True})
            assert raw.count(b"event: error") == 1


async def test_a_web_socket_upgrade_is_refused_at_once() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        headers = {"connection": "Upgrade", "upgrade": "websocket"}
        async with client.session.get(client.url + "/v1/responses", headers=headers) as answer:
            assert (answer.status, answer.headers["connection"]) == (426, "close")


async def test_rate_limits_pass_only_from_a_provider_that_stands_alone() -> None:
    limits = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "49"}
    async with serving(answers(chat_answer(), headers=limits)) as provider:
        async with gateway(config(provider.url)) as client:
            response, _ = await client.ask()
            assert response.headers["anthropic-ratelimit-requests-remaining"] == "49"
        async with gateway(config(provider.url, provider.url)) as client:
            response, _ = await client.ask()
            assert "anthropic-ratelimit-requests-remaining" not in response.headers


async def test_calls_in_turn_use_one_connection_each_time_it_is_free() -> None:
    behave = in_turn(answers(chat_answer("one")), answers(chat_answer("two")))
    async with serving(behave) as provider, gateway(config(provider.url)) as client:
        texts = [(await client.ask())[1]["content"][0]["text"] for _ in range(2)]
        assert texts == ["one", "two"]
        assert isinstance(provider, FakeProvider)


ROUTED = """
models:
  - {match: "claude-*", when: {thinking: true}, targets: [{provider: P2, model: deep}]}
  - {match: "claude-*", when: {header.x-team: research}, model: "P2/{{ match[1] }}"}
  - {match: kept, strategy: sticky, targets: [{provider: P1, model: k}, {provider: P2, model: k}]}
  - match: shared
    strategy: weighted
    targets: [{provider: P1, model: s, weight: 3}, {provider: P2, model: s, weight: 1}]
  - {match: "claude-*", tier: small}
"""


async def test_conditions_on_a_call_choose_the_provider() -> None:
    async with serving(answers(chat_answer("one"))) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(config(first.url, second.url, extra=ROUTED)) as client:
            response, _ = await client.ask()
            assert (response.headers["x-portbroker-provider"], first.last.body["model"]) == ("P1", "small-1")
            await client.ask(thinking={"type": "enabled", "budget_tokens": 1024})
            assert second.last.body["model"] == "deep"
            await client.post("/v1/messages", ASK, **{"X-Team": "research"})
            assert second.last.body["model"] == "haiku-4-5"


async def test_a_session_keeps_its_provider_and_shares_hold() -> None:
    async with serving(answers(chat_answer("one"))) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(config(first.url, second.url, extra=ROUTED)) as client:
            for number in range(8):
                headers = {"x-claude-code-session-id": f"s{number}"}
                asked = [await client.post("/v1/messages", {**ASK, "model": "kept"}, **headers) for _ in range(3)]
                assert len({response.headers["x-portbroker-provider"] for response, _ in asked}) == 1
            assert first.seen
            assert second.seen
            before = len(first.seen), len(second.seen)
            for _ in range(8):
                await client.ask(model="shared")
            assert (len(first.seen) - before[0], len(second.seen) - before[1]) == (6, 2)


async def test_the_time_out_of_a_rule_is_shorter_than_that_of_the_provider() -> None:
    hurried = "models: [{match: hurried, timeout: 50ms, targets: [{provider: P1, model: m}, {provider: P2, model: m}]}]"
    async with serving(streams(then="hang")) as first, serving(streams(chat_stream("two"))) as second:
        async with gateway(config(first.url, second.url, extra=hurried)) as client:
            response, _ = await client.stream(model="hurried")
            assert response.headers["x-portbroker-provider"] == "P2"


async def test_a_rule_of_a_field_map_can_ask_for_the_route() -> None:
    by_route = """
    translation: {request: [{set: {user: chat}, when: {ctx.route: /v1/chat/completions}}], rules_on_passthrough: true}
"""
    async with serving(answers(chat_answer())) as provider:
        async with gateway(config(provider.url).rstrip() + by_route) as client:
            await client.post("/v1/chat/completions", CHAT_ASK)
            assert provider.last.body["user"] == "chat"
            await client.ask()
            assert "user" not in provider.last.body
