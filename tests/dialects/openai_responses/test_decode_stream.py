"""A Responses provider's stream as canonical events, whole answers, and what providers leave out."""

from typing import Any

import pytest
from hypothesis import given

from portbroker.conversation import AnswerContext, Event, Json, Report, answer_events
from portbroker.dialects.envelope import PLAIN, unwrap
from portbroker.dialects.openai_responses.decode_answer import StreamDecoder, decode_answer
from portbroker.errors import ProviderError
from tests.dialects.openai_responses.streams import ANSWERS, told

CREATED: Json = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}
USAGE = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2}


def item(kind: str, index: int, what: Json) -> Json:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": what}


def delta(kind: str, index: int, text: str) -> Json:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text}


def completed(*output: Json, **fields: Any) -> Json:
    response = {"id": "resp_1", "model": "m", "status": "completed", "output": list(output), "usage": USAGE, **fields}
    return {"type": f"response.{response['status']}", "response": response}


def decode(chunks: list[Any], **context: Any) -> tuple[list[Event], list[str]]:
    report = Report()
    decoder = StreamDecoder(AnswerContext(**context), report)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    events += decoder.finish()
    assert decoder.finished
    return events, list(map(str, report))


def collected(events: list[Event]) -> list[Json]:
    """The blocks that a stream tells, its rules checked: one open at a time, indices without gaps."""
    blocks: list[Json] = []
    open_: int | None = None
    for event in events:
        kind = event["type"]
        if kind == "content_block_start":
            assert open_ is None
            assert event["index"] == len(blocks)
            open_ = event["index"]
            blocks.append({**event["content_block"], "_json": ""})
        elif kind == "content_block_delta":
            assert event["index"] == open_
            _take(blocks[-1], event["delta"])
        elif kind == "content_block_stop":
            assert event["index"] == open_
            open_ = None
    assert open_ is None
    return blocks


def _take(block: Json, delta: Json) -> None:
    kind = delta["type"]
    if kind == "input_json_delta":
        block["_json"] += delta["partial_json"]
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        name = kind.removesuffix("_delta")
        block[name] += delta[name]


CALL: Json = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "run", "arguments": '{"a":1}'}
MESSAGE: Json = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
THOUGHT: Json = {
    "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E",
}  # fmt: skip


@given(ANSWERS)
def test_what_was_told_is_read_again(answer: Json) -> None:
    context = AnswerContext(tool_map={"patch": {"name": "patch", "kind": "custom"}})
    blocks = collected(decode(told(answer, context))[0])
    said = "".join(b["text"] for b in blocks if b["type"] == "text").split()
    assert said == "".join(b["text"] for b in answer["content"] if b["type"] == "text" and b["text"].strip()).split()
    uses = [b for b in answer["content"] if b["type"] == "tool_use"]
    assert [(b["id"], b["name"]) for b in blocks if b["type"] == "tool_use"] == [(b["id"], b["name"]) for b in uses]


@given(ANSWERS)
def test_a_stream_and_a_whole_answer_say_the_same(answer: Json) -> None:
    chunks = told(answer)
    context = AnswerContext()
    whole = decode_answer(chunks[-1]["response"], context, Report())
    events, _ = decode(chunks)
    again, _ = decode([chunks[-1]])  # a server that tells nothing but the end
    assert _known(collected(again)) == _known(collected(list(answer_events(whole))))
    assert _known(collected(events)) == _known(collected(again))
    ends = [next(e for e in found if e["type"] == "message_delta") for found in (events, again)]
    assert ends[0] == ends[1]
    assert ends[0]["delta"]["stop_reason"] == whole["stop_reason"]


def _known(blocks: list[Json]) -> list[Json]:
    """Without white space that a stream holds back before text, and how arguments are written."""
    return [{**b, "_json": b["_json"].replace(" ", ""), "text": b.get("text", "").strip()} for b in blocks]


def test_reasoning_comes_with_what_brings_it_back() -> None:
    chunks = [
        CREATED,
        item("added", 0, {"type": "reasoning", "id": "rs_1", "summary": []}),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
        delta("reasoning_summary_text", 0, "hm"),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 1},
        delta("reasoning_summary_text", 0, "so"),
        delta("reasoning_text", 0, "the same in full"),
        item("done", 0, THOUGHT),
        completed(THOUGHT),
    ]
    (block,) = collected(decode(chunks, origin="P/m")[0])
    assert block["thinking"] == "hm\n\nso"
    state = unwrap(block["signature"], "P/m")
    assert state
    assert (state["k"], state["v"], state["id"]) == ("oe", "E", "rs_1")
    assert unwrap(block["signature"], "elsewhere") is None
    (hidden,) = collected(decode(chunks, thinking_omitted=True)[0])
    assert (hidden["thinking"], hidden["signature"][:4]) == ("", "pb1.")
    assert collected(decode(chunks, thinking_requested=False)[0]) == []


def test_reasoning_without_text_is_an_empty_block_that_carries_its_state() -> None:
    sealed = {**THOUGHT, "summary": []}
    chunks = [CREATED, item("added", 0, sealed), item("done", 0, sealed), completed(sealed)]
    (block,) = collected(decode(chunks)[0])
    assert (block["thinking"], block["signature"] != PLAIN) == ("", True)
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert collected(decode([CREATED, item("added", 0, bare), item("done", 0, bare), completed(bare)])[0]) == []


def test_items_that_interleave_are_told_one_after_the_other() -> None:
    second = {**CALL, "call_id": "call_2", "name": "look"}
    chunks = [
        CREATED,
        item("added", 0, {**CALL, "arguments": ""}),
        item("added", 1, {**second, "arguments": ""}),
        delta("function_call_arguments", 1, '{"b"'),
        delta("function_call_arguments", 0, '{"a":1}'),
        delta("function_call_arguments", 1, ":2}"),
        item("done", 1, second),
        item("done", 0, CALL),
        completed(CALL, second),
    ]
    events, _ = decode(chunks)
    assert [(b["id"], b["_json"]) for b in collected(events)] == [("call_1", '{"a":1}'), ("call_2", '{"b":2}')]


def test_an_item_that_is_never_done_ends_with_the_answer() -> None:
    chunks = [CREATED, item("added", 0, {"type": "custom_tool_call", "call_id": "c", "name": "patch"})]
    chunks += [delta("custom_tool_call_input", 0, 'a "b'), completed(status="incomplete")]
    (block,) = collected(decode(chunks)[0])
    assert block["_json"] == '{"input":"a \\"b"}'


def test_only_whole_items_are_enough() -> None:
    events, reported = decode([item("done", 0, MESSAGE), item("done", 1, {**CALL, "arguments": "x"}), completed()])
    text, call = collected(events)
    assert (text["text"], call["_json"]) == ("Hi", '{"_raw_arguments":"x"}')
    assert reported == ["invalid:output[1].arguments"]


def test_text_that_is_only_white_space_is_no_block() -> None:
    chunks = [
        CREATED,
        item("added", 0, {"type": "message"}),
        delta("output_text", 0, "\n"),
        delta("output_text", 0, " "),
    ]
    blank = {"type": "message", "content": [{"type": "output_text", "text": "\n "}]}
    assert collected(decode([*chunks, item("done", 0, blank), completed(blank)])[0]) == []


def test_a_refusal_is_said_and_is_the_reason_to_stop() -> None:
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    streamed = [CREATED, item("added", 0, {"type": "message"}), delta("refusal", 0, "No."), item("done", 0, refused)]
    for chunks in ([*streamed, completed(refused)], [completed(refused)]):
        events, _ = decode(chunks)
        assert [b["text"] for b in collected(events)] == ["No."]
        end = events[-2]["delta"]
        assert (end["stop_reason"], end["stop_details"]["explanation"]) == ("refusal", "No.")


@pytest.mark.parametrize(
    ("fields", "stop", "reported"),
    [
        ({}, "end_turn", []),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_tokens", []),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refusal", []),
        ({"status": "incomplete", "incomplete_details": None}, "end_turn", ["unknown:incomplete_details.reason"]),
    ],
)
def test_the_status_is_the_reason_to_stop(fields: Json, stop: str, reported: list[str]) -> None:
    events, adaptations = decode([completed(MESSAGE, **fields)])
    assert (events[-2]["delta"]["stop_reason"], adaptations) == (stop, reported)
    assert events[-2]["usage"]["input_tokens"] == 5
    assert events[-2]["usage"]["cache_read_input_tokens"] == 4


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        (
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}},
            "rate_limit",
        ),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}, "api"),
        ({"type": "response.failed"}, "api"),
        ({"type": "error", "code": "context_length_exceeded", "message": "m", "param": None}, "context"),
        ({"error": {"message": "m", "code": "insufficient_quota"}}, "billing"),
        ({"type": "response.completed", "response": {"status": "cancelled"}}, "api"),
    ],
)
def test_a_failure_is_an_error_of_its_class(chunk: Json, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        decode([CREATED, chunk])
    assert caught.value.kind == kind


def test_a_body_that_ends_too_early_is_an_error_whatever_was_said_to_be_done() -> None:
    decoder = StreamDecoder(AnswerContext(), Report())
    decoder.feed(CREATED)
    assert decoder.done() == []
    with pytest.raises(ProviderError):
        decoder.finish()


@pytest.mark.parametrize("body", [{}, {"output": {}}, {"output": [], "status": "queued"}, {"error": {"message": "m"}}])
def test_a_body_that_is_no_answer_is_an_error(body: Json) -> None:
    with pytest.raises(ProviderError):
        decode_answer(body, AnswerContext(), Report())


ODD: list[Any] = [None, 1, "x", [], {}, [1], {"type": 1}, {"type": "message", "content": 3}]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "kind", ["output_item.added", "output_item.done", "output_text.delta", "output_text.annotation.added", "created"]
)
def test_nothing_a_provider_sends_breaks_the_reader(kind: str, value: Any) -> None:
    fields = {"item": value, "delta": value, "annotation": value, "response": value, "output_index": value}
    chunks = [CREATED, item("added", 0, {"type": "message"}), {"type": f"response.{kind}", **fields}]
    collected(decode([*chunks, completed(value)])[0])
    collected(decode([value, {"type": f"response.{kind}", **fields}, completed(value, usage=value)])[0])


def test_an_answer_without_usage_is_estimated() -> None:
    answer = decode_answer({"output": [MESSAGE]}, AnswerContext(estimate=7), Report())
    assert answer["_estimated"]
    assert answer["usage"]["input_tokens"] == 7
    assert answer["usage"]["output_tokens"] > 0
