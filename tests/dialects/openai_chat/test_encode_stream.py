"""A canonical stream as a chat client reads it, put together again by the SDK's own accumulator."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from portbroker.conversation import AnswerContext, Json, Report, answer_events
from portbroker.dialects.anthropic_messages.decode_answer import StreamDecoder
from portbroker.dialects.openai_chat.encode_answer import StreamEncoder, encode_answer
from portbroker.errors import ProviderError
from portbroker.sse import SSEParser


def encode(events: list[Json], **context: Any) -> tuple[list[Any], list[str]]:
    """The chunks of these events, `[DONE]` as text, and what was reported."""
    report = Report()
    encoder = StreamEncoder(AnswerContext(**context), report)
    parser = SSEParser()
    sent = parser.feed(b"".join(map(encoder.feed, events))) + parser.finish()
    chunks = ["[DONE]" if data == b"[DONE]" else orjson.loads(data) for _, data in sent]
    return chunks, list(map(str, report))


def accumulate(chunks: list[Any]) -> Json:
    """What the official SDK makes of a stream."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        if chunk != "[DONE]":
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot.to_dict()


def block(index: int, start: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def deltas(chunks: list[Any]) -> list[Json]:
    """What each chunk between the first and the last says."""
    found = [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk["choices"]]
    return found[1:-1]


def stream(*events: Json, stop: str | None = "end_turn") -> list[Json]:
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
    end = {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}}
    return [start, *events, end, {"type": "message_stop"}]


def tool(number: int, **rest: Any) -> Json:
    return {"tool_calls": [{"index": number, **rest}]}


USE = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}}
WEB = {"type": "web_search_result_location", "url": "https://e.com", "title": "E", "cited_text": "c"}


def test_thoughts_are_numbered_and_carry_what_the_next_turn_needs() -> None:
    chunks, _ = encode(
        stream(
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "thinking_delta", "thinking": ""},
                {"type": "signature_delta", "signature": "S"},
            ),
            *block(1, {"type": "redacted_thinking", "data": "R"}),
            *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}),
        )
    )
    kept = "anthropic-claude-v1"
    assert deltas(chunks) == [
        {
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "format": kept, "index": 0}],
        },
        {"reasoning_details": [{"type": "reasoning.text", "signature": "S", "format": kept, "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "R", "format": kept, "index": 1}]},
        {"content": "x"},
    ]
    details = accumulate(chunks)["choices"][0]["message"]["reasoning_details"]
    assert [(each.get("text"), each.get("signature"), each.get("data")) for each in details] == [
        ("hm", "S", None),
        (None, None, "R"),
    ]


def test_arguments_that_came_with_the_start_of_a_call_are_not_lost() -> None:
    chunks, _ = encode(stream(*block(0, {**USE, "input": {"a": 1}}), stop="tool_use"))
    assert deltas(chunks) == [
        tool(0, id="toolu_1", type="function", function={"name": "run", "arguments": ""}),
        tool(0, function={"arguments": '{"a":1}'}),
    ]


@pytest.mark.parametrize(
    ("pieces", "text", "reported"),
    [
        (['{"inp', 'ut":"l', 's"}'], "ls", []),
        (['{"input":"cut'], '{"input":"cut', ["invalid:content[0].input"]),
        ([], "{}", ["invalid:content[0].input"]),
    ],
)
def test_a_custom_call_is_told_as_free_text_once_it_is_whole(pieces: list[str], text: str, reported: list[str]) -> None:
    told = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    chunks, adaptations = encode(stream(*block(0, USE, *told), stop="tool_use"), custom_tools=frozenset({"run"}))
    assert deltas(chunks) == [
        tool(0, id="toolu_1", type="custom", custom={"name": "run", "input": ""}),
        tool(0, custom={"input": text}),
    ]
    assert adaptations == reported


def test_every_cited_block_is_annotated_where_it_stands_and_the_sdk_collects_them_all() -> None:
    def cited(index: int, text: str, *citations: Json) -> list[Json]:
        told = [{"type": "citations_delta", "citation": citation} for citation in citations]
        return block(index, {"type": "text", "text": "", "citations": []}, *told, {"type": "text_delta", "text": text})

    chunks, reported = encode(
        stream(*cited(0, "See "), *cited(1, "docs", WEB, WEB), *cited(2, "."), *cited(3, "more", WEB, {"type": "x"}))
    )
    annotations = accumulate(chunks)["choices"][0]["message"]["annotations"]
    places = [(each["url_citation"]["start_index"], each["url_citation"]["end_index"]) for each in annotations]
    assert places == [(4, 8), (4, 8), (9, 13)]
    assert reported == ["dropped:content[3].citations"]


def test_what_is_not_known_is_passed_over() -> None:
    chunks, _ = encode(
        stream(
            {"type": "event_of_tomorrow"},
            *block(0, {"type": "block_of_tomorrow"}, {"type": "thinking_delta", "thinking": "x"}),
            *block(1, {"type": "text", "text": ""}, {"type": "delta_of_tomorrow"}, {"type": "text_delta", "text": ""}),
        )
    )  # fmt: skip
    assert deltas(chunks) == []


def test_a_turn_that_paused_is_reported() -> None:
    chunks, reported = encode(stream(stop="pause_turn"))
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert reported == ["degraded:stop_reason"]


def test_a_ping_is_a_comment_that_no_parser_shows() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    assert encoder.ping() == encoder.feed({"type": "ping"}) == b": ping\n\n"
    assert SSEParser().feed(encoder.ping()) == []


def test_an_error_ends_the_stream_without_a_done() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    ((_, data),) = SSEParser().feed(encoder.fail(ProviderError("gone", kind="timeout"), "req_1"))
    assert orjson.loads(data) == {
        "error": {"message": "gone", "type": "server_error", "param": None, "code": None},
    }


TEXTS = st.text(alphabet='ab \n"\\é😀\u2028', max_size=8)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.builds(lambda text: {"type": "text", "text": text, "citations": [WEB]}, TEXTS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "S"}, TEXTS),
    st.just({"type": "redacted_thinking", "data": "R"}),
    st.builds(
        lambda given: {**USE, "input": given},
        st.dictionaries(TEXTS, TEXTS | st.integers(-(1 << 63), 1 << 63), max_size=3),
    ),
    st.just({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": 1}}),
)


@given(st.lists(BLOCKS, max_size=6), st.sampled_from(["end_turn", "tool_use", "max_tokens", None]), st.booleans())
def test_a_stream_put_together_by_the_sdk_is_the_whole_answer(
    content: list[Json], stop: str | None, include_usage: bool
) -> None:
    answer = {
        "id": "msg_1", "model": "m", "content": content, "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5},
    }  # fmt: skip
    whole = encode_answer(answer, AnswerContext(), Report())
    chunks, _ = encode(list(answer_events(answer)), include_usage=include_usage)
    told = accumulate(chunks)
    expected, message = whole["choices"][0]["message"], told["choices"][0]["message"]
    assert message["content"] == (expected["content"] or "")
    calls = [{"index": i, **call} for i, call in enumerate(expected.get("tool_calls") or [])]
    for call in message.get("tool_calls") or []:
        call["function"].pop("parsed_arguments", None)
    assert (message.get("tool_calls") or []) == calls
    thoughts = [each["thinking"] for each in content if each["type"] == "thinking"]
    assert message.get("reasoning_content", "") == "".join(thoughts)
    assert told["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert told.get("usage") == (whole["usage"] if include_usage else None)
    placed = [{k: v for k, v in each.items() if k != "index"} for each in message.get("annotations") or []]
    assert placed == expected.get("annotations", [])


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(), TEXTS, st.just([]), st.just({}), st.just([3])
)
KEYS = [
    "type",
    "index",
    "delta",
    "content_block",
    "message",
    "usage",
    "id",
    "name",
    "text",
    "model",
    "citations",
    "input",
]


@given(
    st.lists(BLOCKS, min_size=1, max_size=3),
    st.integers(0, 30),
    st.sampled_from(KEYS),
    st.sampled_from([(), ("delta",), ("content_block",), ("message",), ("message", "usage"), ("usage",)]),
    ODD,
)
def test_a_stream_with_something_odd_in_it_is_told_or_refused_and_never_a_fault_of_ours(
    content: list[Json], at: int, key: str, inside: tuple[str, ...], odd: Any
) -> None:
    answer = {"id": "msg_1", "model": "m", "content": content, "stop_reason": "end_turn", "usage": {"output_tokens": 5}}
    events = orjson.loads(orjson.dumps(list(answer_events(answer))))
    place = events[at % len(events)]
    for step in inside:
        place = place.get(step) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place[key] = odd
    context, report = AnswerContext(include_usage=True), Report()
    decoder, encoder = StreamDecoder(context, report), StreamEncoder(context, report)
    try:
        for event in events:
            for each in decoder.feed(event):
                encoder.feed(each)
        decoder.finish()
    except ProviderError:
        return
    assert decoder.finished
