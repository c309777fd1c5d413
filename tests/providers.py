"""Providers for tests: real servers on real sockets that do what a test tells them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as the provider saw it."""

    path: str
    headers: dict[str, str]
    body: Json


@dataclass
class FakeProvider:
    """A server that answers every request as `behave` says and remembers what it was asked."""

    behave: Behaviour
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.path_qs, headers, json.loads(raw) if raw else {}))
        try:
            return await self.behave(request)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnected.set()
            raise

    @property
    def last(self) -> Seen:
        return self.seen[-1]


@contextlib.asynccontextmanager
async def serving(behave: Behaviour) -> AsyncIterator[FakeProvider]:
    """A provider that behaves so, until the context ends."""
    provider = FakeProvider(behave)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", provider._handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


def answers(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """Always this JSON (or, for bytes, exactly this) body."""

    async def behave(_: web.Request) -> web.StreamResponse:
        if isinstance(body, bytes):
            return web.Response(body=body, status=status, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return behave


def streams(*pieces: bytes, then: str = "end", headers: dict[str, str] | None = None) -> Behaviour:
    """These bytes as an event stream; `then` says how it goes on: `end`, `cut` (the connection breaks) or `hang`."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **(headers or {})})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif then == "hang":
            await asyncio.Event().wait()
        return response

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first request meets the first behaviour, and so on; the last one stays."""
    left = list(behaviours)

    async def behave(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return behave


def sse(*chunks: Any) -> bytes:
    """Chat chunks as an event stream; text is sent as it is (`[DONE]`)."""
    texts = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def events(*bodies: Json) -> bytes:
    """Anthropic events as an event stream."""
    return "".join(f"event: {body['type']}\ndata: {json.dumps(body)}\n\n" for body in bodies).encode()


def chat_answer(text: str = "Hi there", **message: Any) -> Json:
    """A whole Chat Completions answer."""
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-model",
        "choices": [choice],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }


def chat_chunk(delta: Json, finish: str | None = None) -> Json:
    """One chunk of a streamed Chat Completions answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def chat_stream(*texts: str, finish: str = "stop") -> bytes:
    """A whole streamed Chat Completions answer."""
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    return sse(
        chat_chunk({"role": "assistant", "content": ""}),
        *(chat_chunk({"content": text}) for text in texts),
        chat_chunk({}, finish),
        {**chat_chunk({}), "choices": [], "usage": usage},
        "[DONE]",
    )


def anthropic_answer(text: str = "Hi there", **fields: Any) -> Json:
    """A whole Anthropic message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "upstream-model",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 3},
        **fields,
    }


def anthropic_stream(*texts: str) -> bytes:
    """A whole streamed Anthropic message."""
    message = {**anthropic_answer(), "content": [], "stop_reason": None}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return events(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )
