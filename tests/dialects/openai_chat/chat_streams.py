"""Chat streams as providers send them, and what an Anthropic client may expect of any of them."""

from collections.abc import Iterable
from typing import Any

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects.openai_chat.decode_stream import StreamDecoder


def chunk(delta: Json | None = None, finish: str | None = None, **rest: Any) -> Json:
    """A chunk whose only choice has this delta."""
    choice = {"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish}
    return {"id": "chatcmpl-s", "object": "chat.completion.chunk", "model": "gpt-x", "choices": [choice], **rest}


def call(arguments: object, name: str | None = None, **rest: Any) -> Json:
    """A delta with one piece of a tool call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{**rest, "function": function}]}


def decode(chunks: Iterable[object], report: Report | None = None, **context: Any) -> list[Event]:
    """The events of a stream that ends with its body."""
    decoder = StreamDecoder(AnswerContext(**context), report if report is not None else Report())
    events: list[Event] = []
    for item in chunks:
        events += decoder.done() if item == "[DONE]" else decoder.feed(item)  # type: ignore[arg-type]
    return events + decoder.finish()


def blocks_of(events: list[Event]) -> list[Json]:
    """The blocks that a client puts together, after every rule that it relies on has been checked.

    A text block's `text` and a thinking block's are joined; a tool's arguments stand, as text, under `json`.
    """
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") == kinds.count("message_delta") == kinds.count("message_stop") == 1
    blocks: list[Json] = []
    is_open = False
    for event in events[2:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"], "json": ""})
            is_open = True
            continue
        assert is_open
        assert event["index"] == len(blocks) - 1
        if event["type"] == "content_block_stop":
            is_open = False
        else:
            _join(blocks[-1], event["delta"])
    assert not is_open
    return blocks


def _join(block: Json, delta: Json) -> None:
    assert not block.get("signature"), "nothing follows a signature"
    match delta["type"], block["type"]:
        case "text_delta", "text":
            block["text"] += delta["text"]
        case "thinking_delta", "thinking":
            block["thinking"] += delta["thinking"]
        case "signature_delta", "thinking":
            block["signature"] = delta["signature"]
        case "input_json_delta", "tool_use":
            block["json"] += delta["partial_json"]
        case "citations_delta", "text":
            block.setdefault("citations", []).append(delta["citation"])
        case mismatch:
            raise AssertionError(mismatch)
