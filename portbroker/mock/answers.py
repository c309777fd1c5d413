"""What a mock says: one canonical answer, put into any dialect, whole or as the pieces of a stream.

The one rule: pure; when and whether a piece goes out is decided where the connections are.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from portbroker.conversation import Conversation, Event, Json, Report, answer_events, mint
from portbroker.dialects import Dialect, ErrorAnswer
from portbroker.errors import GatewayError, Kind, Overflow, ProviderError
from portbroker.tokens import estimate, text_tokens

_WORDS = re.compile(r"\S+\s*|\s+")
_QUOTED = 200
_WINDOW = 1000
"""Tokens that the model of `overflow` takes."""
WORDS_BEFORE_THE_ERROR = 3

_KINDS: dict[int, Kind] = {
    400: "invalid", 401: "auth", 402: "billing", 403: "permission", 404: "not_found", 408: "timeout", 413: "too_large",
    422: "invalid", 429: "rate_limit", 503: "overloaded", 504: "timeout", 529: "overloaded",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as the mock read it. `number` counts the calls of this mock, `name` tells mocks apart."""

    dialect: Dialect
    body: Json
    conversation: Conversation
    number: int
    name: str

    @property
    def request_id(self) -> str:
        return f"req_{self.name}_{self.number}"


def read(dialect: Dialect, raw: bytes, number: int, name: str) -> Asked:
    """The call in these bytes. Raises `GatewayError` when it is none in this dialect."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise refusal(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise refusal(400, "the body is not an object")
    conversation = dialect.decode_request(body, Report())
    conversation.answer.created = int(time.time())
    conversation.answer.request_model = conversation.model
    return Asked(dialect, body, conversation, number, name)


def whole(asked: Asked, *, tool: bool) -> bytes:
    """The body of an answer that is no stream."""
    return orjson.dumps(asked.dialect.encode_answer(_answer(asked, tool), asked.conversation.answer, Report()))


def pieces(asked: Asked, *, tool: bool) -> Iterator[bytes]:
    """The stream, a piece for each word."""
    encoder = asked.dialect.stream_encoder(asked.conversation.answer, Report())
    return filter(None, map(encoder.feed, _word_by_word(_answer(asked, tool))))


def begun(asked: Asked, words: int) -> Iterator[bytes]:
    """The beginning of the stream, until so many words have been said."""
    encoder = asked.dialect.stream_encoder(asked.conversation.answer, Report())
    return filter(None, map(encoder.feed, _until(_word_by_word(_answer(asked, False)), words)))


def broken_off(asked: Asked) -> Iterator[bytes]:
    """A stream that says a little and then reports an error."""
    encoder = asked.dialect.stream_encoder(asked.conversation.answer, Report())
    said = _until(_word_by_word(_answer(asked, False)), WORDS_BEFORE_THE_ERROR)
    yield from filter(None, map(encoder.feed, said))
    yield encoder.fail(refusal(529, "the mock is overloaded, as it was told to be"), asked.request_id)


def failure(asked: Asked, status: int) -> ErrorAnswer:
    """The error that a provider of this dialect answers with such a status."""
    error = asked.dialect.encode_error(refusal(status, f"the mock fails with {status}, as it was told to"), "")
    headers = {"retry-after": "1"} if status == 429 else {}
    return ErrorAnswer(status, headers, error.body)


def overflow(asked: Asked) -> ErrorAnswer:
    """The error for a prompt that does not fit."""
    tokens = max(estimate(asked.body), _WINDOW + 1)
    message = f"prompt is too long: {tokens} tokens > {_WINDOW} maximum"
    error = ProviderError(message, kind="context", status=400, overflow=Overflow(tokens, _WINDOW))
    return asked.dialect.encode_error(error, asked.request_id)


def refusal(status: int, message: str) -> GatewayError:
    """An error of this status."""
    return ProviderError(message, kind=_KINDS.get(status, "api" if status >= 500 else "invalid"), status=status)


def _answer(asked: Asked, tool: bool) -> Json:
    text = f"Mock answer {asked.number} of {asked.name}. You said: “{_last_words(asked.conversation)}”. That is all."
    usage = {"input_tokens": estimate(asked.body), "output_tokens": max(1, round(text_tokens(text)))}
    return {
        "id": mint("msg_"),
        "type": "message",
        "role": "assistant",
        "model": asked.conversation.model,
        "content": [_tool_use(asked.conversation) if tool else {"type": "text", "text": text}],
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_use(conversation: Conversation) -> Json:
    name = next((tool.data["name"] for tool in conversation.tools if tool.data.get("name")), "get_weather")
    return {"type": "tool_use", "id": mint("toolu_"), "name": name, "input": {"city": "Paris"}}


def _last_words(conversation: Conversation) -> str:
    """The text of what the user said last, cut."""
    turns = (turn for turn in reversed(conversation.turns) if turn.role == "user")
    blocks = next((turn.blocks for turn in turns), ())
    text = " ".join(block.data["text"] for block in blocks if block.kind == "text")
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "…"


def _word_by_word(answer: Json) -> Iterator[Event]:
    """The events of the answer, its text in a delta for each word."""
    for event in answer_events(answer):
        delta = event.get("delta") or {}
        if delta.get("type") != "text_delta":
            yield event
            continue
        for word in _WORDS.findall(delta["text"]):
            yield {**event, "delta": {**delta, "text": word}}


def _until(events: Iterator[Event], words: int) -> Iterator[Event]:
    """The events that come before the first word, and so many words."""
    return islice(events, 2 + words)
