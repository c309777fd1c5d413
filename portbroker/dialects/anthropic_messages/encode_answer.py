"""A canonical answer as an Anthropic client sees it: a message, or the events of a stream as bytes.

The one rule: the canonical form is Anthropic's own, so only two things change: the model has the name that the client
asked for, and keys that begin with an underscore stay here.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import orjson

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import TEXTS
from portbroker.dialects.anthropic_messages.errors import encode_error
from portbroker.errors import GatewayError

_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA_TAIL: Final = b"}}\n\n"

# The events that hold an answer's or a block's keys.
_FRAMED = frozenset({"message_start", "content_block_start", "message_delta"})


def encode_answer(answer: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as a message."""
    content = [_public(block) for block in answer["content"]]
    message = {**_public(answer), "content": content, "usage": _public(answer["usage"])}
    if context.request_model is not None:
        message["model"] = context.request_model
    return message


def _public(mapping: Json) -> Json:
    """The same without what only the gateway knows; the very same where there is nothing of that."""
    for key in mapping:
        if key[:1] == "_":
            return {key: value for key, value in mapping.items() if key[:1] != "_"}
    return mapping


class StreamEncoder:
    """One answer in flight; see `portbroker.dialects.StreamEncoder`."""

    __slots__ = ("_context",)

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self._context = context

    def feed(self, event: Event) -> bytes:
        """The event as it goes out."""
        kind = event["type"]
        if kind == "content_block_delta":
            delta = event["delta"]
            if len(delta) == 2 and (name := TEXTS.get(delta["type"])):
                return _delta_head(delta["type"], event["index"]) + _dump(delta[name]) + _DELTA_TAIL
        elif kind == "ping":
            return _PING
        elif kind == "message_stop":
            return _STOP
        elif kind in _FRAMED:
            event = self._framed(event)
        return _head(kind) + _dump(event) + b"\n\n"

    def pen(self, kind: str, index: int) -> Callable[[str], bytes]:
        """Writes more of a block's text as it goes out."""
        head, tail = _delta_head(kind, index), _DELTA_TAIL
        return lambda text: head + _dump(text) + tail

    def _framed(self, event: Event) -> Event:
        """The event without what only the gateway knows, under the model's name that the client knows."""
        public = {key: _public(value) if isinstance(value, dict) else value for key, value in _public(event).items()}
        if event["type"] == "message_start":
            message = public["message"] = {**public["message"], "usage": _public(public["message"]["usage"])}
            if self._context.request_model is not None:
                message["model"] = self._context.request_model
        return public

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """The error as an event: what the HTTP answer would have said, without the id of a request that has begun."""
        body = encode_error(error, request_id).body
        return _head("error") + _dump({"type": "error", "error": body["error"]}) + b"\n\n"

    def ping(self) -> bytes:
        return _PING


@lru_cache(maxsize=256)
def _delta_head(kind: str, index: int) -> bytes:
    start = f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{TEXTS[kind]}":'
    return _head("content_block_delta") + start.encode()


@lru_cache(maxsize=64)
def _head(kind: str) -> bytes:
    return f"event: {kind}\ndata: ".encode()


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Half a surrogate pair: a provider cut a character in two. Escaped, the client can join the halves.
        return json.dumps(value, separators=(",", ":")).encode()
