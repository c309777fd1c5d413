"""The demo provider: answers inside the process when no provider has a credential, so that a first call succeeds.

It speaks `openai.chat`, so what a client sees is truly translated. The one rule: it always says what it is.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import orjson

from portbroker.conversation import Json, mint
from portbroker.tokens import estimate, text_tokens
from portbroker.upstream import Attempt, Sink, UpstreamRequest

_PACE = 0.02
"""Seconds between two words, so that a person sees a stream."""
_WORDS = re.compile(r"\S+\s*|\s+")
_OPENING = re.compile(r"\s*<([\w-]+)>")
_QUOTE_LIMIT = 200


def _asked(messages: Any) -> str:
    """The text of the last user message, but for what agents put beside it in tags."""
    turns = [_texts(message) for message in reversed(messages if isinstance(messages, list) else [])]
    plain = [[said for text in texts if (said := _untagged(text))] for texts in turns]
    return "\n".join(next(filter(None, [*plain, *turns]), []))


def _untagged(text: str) -> str:
    """What comes after `<reminders>...</reminders>`; nothing, when nothing does."""
    at = 0
    while opening := _OPENING.match(text, at):
        closing = f"</{opening[1]}>"
        end = text.find(closing, at)
        if end < 0:
            return ""
        at = end + len(closing)
    return text[at:].strip()


def _texts(message: Any) -> list[str]:
    """What a user says in a message."""
    if not isinstance(message, dict) or message.get("role") != "user":
        return []
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def reply_text(body: Json) -> str:
    """What the demo says to a Chat Completions body."""
    asked = _asked(body.get("messages"))
    quoted = asked if len(asked) <= _QUOTE_LIMIT else asked[:_QUOTE_LIMIT] + "…"
    return (
        f"Hello from PortBroker's built-in demo provider. You said: “{quoted}”. No model has read it: set a key such "
        "as OPENAI_API_KEY, or name a provider in portbroker.yaml, and this same call goes to a real one."
    )


def _usage(body: Json, text: str) -> Json:
    prompt, completion = estimate(body), round(text_tokens(text))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _limited(body: Json, words: list[str]) -> tuple[list[str], str]:
    """The words that fit into the caller's limit, and why the answer ends."""
    limit = body.get("max_tokens") or body.get("max_completion_tokens")
    if isinstance(limit, int) and limit < len(words):
        return words[: max(1, limit)], "length"
    return words, "stop"


def whole(body: Json) -> bytes:
    """A complete answer."""
    words, reason = _limited(body, _WORDS.findall(reply_text(body)))
    text = "".join(words)
    message = {"role": "assistant", "content": text}
    return orjson.dumps(
        {
            "id": mint("chatcmpl-"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "demo",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": _usage(body, text),
        }
    )


def chunks(body: Json) -> Iterator[bytes]:
    """A streamed answer, one SSE event at a time."""
    head = {"id": mint("chatcmpl-"), "object": "chat.completion.chunk", "created": int(time.time()), "model": "demo"}

    def event(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: %b\n\n" % orjson.dumps({**head, "choices": [choice]})

    words, reason = _limited(body, _WORDS.findall(reply_text(body)))
    yield event({"role": "assistant", "content": ""})
    for word in words:
        yield event({"content": word})
    yield event({}, reason)
    yield b"data: %b\n\n" % orjson.dumps({**head, "choices": [], "usage": _usage(body, "".join(words))})
    yield b"data: [DONE]\n\n"


class _Telling:
    """One answer of the demo under way."""

    def __init__(self, sink: Sink, head: dict[str, str], pieces: Iterator[bytes], pace: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._pieces = pieces
        self._pace = pace
        self._paused = False
        self.sent_at = self._loop.time()
        self._handle: asyncio.Handle = self._loop.call_soon(self._begin, head)

    def _begin(self, head: dict[str, str]) -> None:
        self._sink.head(200, head)
        self._step()

    def _step(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._sink.end()
            return
        self._sink.data(piece)
        if not self._paused and not self._handle.cancelled():
            self._handle = self._loop.call_later(self._pace, self._step)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._handle = self._loop.call_soon(self._step)

    def progress(self) -> None:
        """The demo is never late."""

    def cancel(self) -> None:
        self._handle.cancel()


class DemoUpstream:
    """An upstream without a network."""

    def send(self, request: UpstreamRequest, sink: Sink) -> Attempt:
        """Answer as an OpenAI-compatible server would; the gateway wrote the body, so it is one."""
        body: Json = orjson.loads(request.body)
        if body.get("stream"):
            return _Telling(sink, {"content-type": "text/event-stream"}, chunks(body), _PACE)
        return _Telling(sink, {"content-type": "application/json"}, iter([whole(body)]), 0)

    async def close(self) -> None:
        """Nothing is open."""
