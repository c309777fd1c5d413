"""What leaves for an Anthropic client can be read by Anthropic's own SDK, event by event."""

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message

from portbroker.conversation import AnswerContext, Event, Json, Report, answer_events
from portbroker.dialects.anthropic_messages.encode_answer import StreamEncoder, encode_answer
from portbroker.errors import ProviderError
from tests.dialects.openai_chat.chat_streams import call, chunk, decode

ANSWER: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "upstream",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "pb1.x", "_raw": 1},
        {"type": "text", "text": "Grüße \u2028\n😀"},
        {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {"x": [1, {"_y": None}]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 1,
        "output_tokens": 2,
        "_cost": 1,
    },
    "_estimated": True,
}


def encoded(events: list[Event], **context: Any) -> bytes:
    encoder = StreamEncoder(AnswerContext(**context), Report())
    return b"".join([encoder.feed(event) for event in events])


def sent(wire: bytes) -> Iterator[tuple[str | None, Json]]:
    """The events as Anthropic's SDK reads them from the wire."""
    for event in SSEDecoder().iter_bytes(iter([wire])):
        yield event.event, event.json()


def accumulated(wire: bytes) -> Json:
    """The message that Anthropic's SDK puts together."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for name, event in sent(wire):
        assert name == event["type"]
        if name != "ping":
            raw: Any = event  # the SDK types it itself
            snapshot = accumulate_event(event=raw, current_snapshot=snapshot, json_bufs=buffers)
    message: Json = snapshot.to_dict(exclude_none=False)
    return {key: value for key, value in message.items() if value is not None or key == "stop_sequence"}


def test_a_message_has_the_clients_model_and_no_private_keys() -> None:
    message = encode_answer(ANSWER, AnswerContext(request_model="claude-sonnet-5"), Report())
    Message.model_validate(message, strict=True)
    assert message["model"] == "claude-sonnet-5"
    assert not any(key.startswith("_") for key in [*message, *message["usage"], *message["content"][0]])
    assert message["content"][2]["input"] == {"x": [1, {"_y": None}]}, "what the model wrote is not ours to change"
    assert ANSWER["_estimated"], "the answer itself is left as it was"


def test_a_message_without_a_requested_name_shows_the_upstreams() -> None:
    assert encode_answer(ANSWER, AnswerContext(), Report())["model"] == "upstream"


def test_the_sdk_puts_a_streamed_answer_together_as_it_was() -> None:
    message = accumulated(encoded(list(answer_events(ANSWER)), request_model="claude-sonnet-5"))
    assert message == encode_answer(ANSWER, AnswerContext(request_model="claude-sonnet-5"), Report())


def test_the_sdk_reads_a_translated_stream_with_everything_in_it() -> None:
    deltas = [
        {"reasoning_content": "Let me"},
        {"reasoning_content": " look."},
        {"content": "I will \u2028 look.\n"},
        call('{"x":"a\n', "first", index=0, id="c1"),
        call('{"y":', "second", index=1, id="c2"),
        call('b"}', index=0),
        {"content": "meanwhile"},
        call("2}", index=1),
    ]
    message = accumulated(encoded(decode([*map(chunk, deltas), chunk({}, "tool_calls"), "[DONE]"])))
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use", "tool_use", "text"]
    assert [block.get("input") for block in message["content"][2:4]] == [{"x": "a\nb"}, {"y": 2}]
    assert message["content"][0]["thinking"] == "Let me look."
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("arguments", ["ls -la", "null", '"{}"', "[1]", '{"x": 1'])
def test_no_arguments_end_the_sdks_stream(arguments: str) -> None:
    chunks = [chunk(call(arguments, "a", index=0, id="c")), chunk({}, "tool_calls"), "[DONE]"]
    assert isinstance(accumulated(encoded(decode(chunks)))["content"][0]["input"], dict)


def test_events_are_compact_and_named() -> None:
    delta = {"type": "content_block_delta", "index": 12, "delta": {"type": "text_delta", "text": 'a"\n'}}
    [(_, event)] = sent(wire := encoded([delta]))
    assert event == delta
    assert wire == b"event: content_block_delta\ndata: " + orjson.dumps(delta) + b"\n\n"


def test_half_a_character_does_not_end_the_stream() -> None:
    halves = ["\ud83d", "\ude00"]
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": h}} for h in halves]
    texts = [json.loads(wire.split(b"data: ")[1])["delta"]["text"] for wire in map(encoded, ([d] for d in deltas))]
    assert texts == halves


def test_an_error_is_an_event_of_two_members() -> None:
    error = ProviderError("Overloaded", kind="overloaded")
    [(name, event)] = sent(StreamEncoder(AnswerContext(), Report()).fail(error, "req_1"))
    assert name == "error"
    assert event == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def test_a_ping_is_one_whoever_sends_it() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    assert encoder.ping() == encoder.feed({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
