"""A canonical stream as chat completion chunks.

The one rule: all that is the same in every chunk is written once. A chunk is its head, what is new, and its tail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import TEXTS
from portbroker.dialects.openai_chat.errors import encode_error
from portbroker.dialects.openai_chat.told_calls import ToldCalls
from portbroker.dialects.openai_chat.told_parts import (
    REASONING_FORMAT,
    annotation,
    completion_id,
    finish_reason,
    sealed,
    told_usage,
)
from portbroker.errors import GatewayError

dumps = orjson.dumps

_PING = b": ping\n\n"
_DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Span:
    """A text block in flight: where it begins in all text, and what it cites."""

    start: int
    citations: list[Any]


class StreamEncoder:
    """One answer in flight, for a chat client."""

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self._context = context
        self._report = report
        self._head = self._text = self._tail = b""
        self._calls = ToldCalls(context, report)
        self._thoughts: dict[int, int] = {}  # block index to the number of the thought
        self._spans: dict[int, _Span] = {}
        self._length = 0  # characters of text so far
        self._annotations = 0
        self._stop: Any = None
        self._usage: Json = {}

    def feed(self, event: Event) -> bytes:
        """The chunks of one event; nothing for events that are not known."""
        handler = self._HANDLERS.get(event["type"])
        return handler(self, event) if handler is not None else b""

    def pen(self, kind: str, index: int) -> Callable[[str], bytes]:
        """Writes the same for the deltas of a block that hold nothing but a text."""
        name = TEXTS[kind]
        return lambda text: self.feed(
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}
        )

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """An error object instead of a chunk, and no `[DONE]`: this is what clients raise on."""
        return b"data: " + dumps(encode_error(error, request_id).body) + b"\n\n"

    def ping(self) -> bytes:
        return _PING

    def _chunk(self, delta: Json) -> bytes:
        return self._head + dumps(delta) + self._tail

    def _ping(self, event: Event) -> bytes:
        return _PING

    # the frame

    def _start(self, event: Event) -> bytes:
        message = event["message"]
        frame = {
            "id": completion_id(message["id"]),
            "object": "chat.completion.chunk",
            "created": self._context.created,
            "model": self._context.request_model or message["model"],
        }
        self._opening = b"data: " + dumps(frame)[:-1]
        self._head = self._opening + b',"choices":[{"index":0,"delta":'
        self._text = self._head + b'{"content":'
        usage = b',"usage":null' if self._context.include_usage else b""
        self._tail = b',"finish_reason":null}]' + usage + b"}\n\n"
        self._text_tail = b"}" + self._tail
        self._count(message.get("usage"))
        return self._chunk({"role": "assistant", "content": ""})

    def _message_delta(self, event: Event) -> bytes:
        stop = event["delta"].get("stop_reason")
        self._stop = self._stop if stop is None else stop
        self._count(event.get("usage"))
        return b""

    def _count(self, usage: Any) -> None:
        """Counts are cumulative: what comes later holds."""
        if isinstance(usage, dict):
            self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _end(self, event: Event) -> bytes:
        if self._stop == "pause_turn":
            self._report.add("degraded", "stop_reason")
        finish = dumps(finish_reason(self._stop, self._calls.count > 0))
        chunks = self._head + b"{}" + self._tail.replace(b"null", finish, 1)
        if self._context.include_usage:
            chunks += self._opening + b',"choices":[],"usage":' + dumps(told_usage(self._usage)) + b"}\n\n"
        return chunks + _DONE

    # blocks

    def _block_start(self, event: Event) -> bytes:
        index, block = event["index"], event["content_block"]
        kind = block["type"]
        if kind == "text":
            self._spans[index] = _Span(self._length, list(block.get("citations") or ()))
            return self._say(block.get("text") or "")
        if kind == "tool_use":
            return self._chunk(self._calls.open(index, block))
        if kind in ("thinking", "redacted_thinking"):
            number = self._thoughts[index] = len(self._thoughts)
            if kind == "redacted_thinking":
                return self._chunk({"reasoning_details": [sealed(block.get("data"), number)]})
            return self._think(index, block.get("thinking") or "")
        return b""

    def _delta(self, event: Event) -> bytes:
        delta = event["delta"]
        kind = delta["type"]
        if kind == "text_delta":
            text = delta["text"]
            self._length += len(text)
            return self._text + dumps(text) + self._text_tail if text else b""
        if kind == "input_json_delta":
            piece = self._calls.more(event["index"], delta["partial_json"])
            return self._chunk(piece) if piece else b""
        if kind == "thinking_delta":
            return self._think(event["index"], delta["thinking"])
        if kind == "signature_delta":
            return self._sign(event["index"], delta["signature"])
        if kind == "citations_delta" and (span := self._spans.get(event["index"])):
            span.citations.append(delta.get("citation"))
        return b""

    def _block_stop(self, event: Event) -> bytes:
        index = event["index"]
        if owed := self._calls.close(index):
            return self._chunk(owed)
        span = self._spans.pop(index, None)
        return self._cite(span, index) if span and span.citations else b""

    def _say(self, text: str) -> bytes:
        self._length += len(text)
        return self._text + dumps(text) + self._text_tail if text else b""

    def _cite(self, span: _Span, index: int) -> bytes:
        told = [annotation(citation, span.start, self._length) for citation in span.citations]
        if None in told:
            self._report.add("dropped", f"content[{index}].citations")
        annotations = [each for each in told if each]
        if not annotations:
            return b""
        if self._annotations:
            # The SDK's accumulator takes a list as it is the first time, and afterwards asks for places in it.
            annotations = [{**each, "index": self._annotations + i} for i, each in enumerate(annotations)]
        self._annotations += len(annotations)
        return self._chunk({"annotations": annotations})

    # thinking

    def _think(self, index: int, text: str) -> bytes:
        if not text or index not in self._thoughts:
            return b""
        return self._chunk({"reasoning_content": text, "reasoning_details": [self._thought(index, "text", text)]})

    def _sign(self, index: int, signature: str) -> bytes:
        if not signature or index not in self._thoughts:
            return b""
        return self._chunk({"reasoning_details": [self._thought(index, "signature", signature)]})

    def _thought(self, index: int, name: str, value: str) -> Json:
        thought = {"type": "reasoning.text", name: value}
        return {**thought, "format": REASONING_FORMAT, "index": self._thoughts[index]}

    _HANDLERS: ClassVar[dict[str, Callable[["StreamEncoder", Event], bytes]]] = {
        "content_block_delta": _delta,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_start": _start,
        "message_delta": _message_delta,
        "message_stop": _end,
        "ping": _ping,
    }
