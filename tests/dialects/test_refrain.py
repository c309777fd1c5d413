"""Chunks that repeat the one before but for their text: read at a glance, and to the same effect."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.call import Call
from portbroker.cases.parts import plain_target
from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Report
from portbroker.dialects import TEXTS as ANTHROPIC_TEXTS
from portbroker.dialects import Dialect
from portbroker.dialects.openai_chat.decode_stream import StreamDecoder
from portbroker.dialects.refrain import Refrain, Refrains, learn
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from portbroker.fieldmap import RuleContext
from portbroker.translate import Asked, Passing, Translating
from tests.dialects.openai_chat.chat_streams import call, chunk

_MINTED = re.compile(rb"(?<=_)[A-Za-z0-9]{24}")


def payload(delta: Any, finish: str | None = None, **rest: Any) -> bytes:
    return orjson.dumps(chunk(delta, finish, **rest))


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def speaking(*deltas: Any) -> StreamDecoder:
    """A decoder that has read these."""
    decoder = StreamDecoder(AnswerContext(), Report())
    for delta in deltas:
        decoder.feed(chunk(delta))
    return decoder


def found_by(refrain: Refrain | None, data: bytes) -> str | None:
    """The text that is found in an event."""
    assert refrain is not None
    text = refrain.more(str, str.encode)(event(data))
    return None if text is None else text.decode()


def refrain_of(delta: Any) -> Refrain | None:
    return learn((None, payload(delta)), speaking(delta))


@pytest.mark.parametrize("text", ["hi", " ", "é", "\u2028", 'a "quoted" \\ word', "\n\n", "😀", "}]}"])
def test_another_text_in_the_same_chunk_is_found(text: str) -> None:
    assert found_by(refrain_of({"content": "hello"}), payload({"content": text})) == text


@pytest.mark.parametrize(
    "data",
    [
        payload({"content": ""}),
        payload({"content": "a"}, "stop"),
        payload({"content": "a"}, id="another"),
        payload({"content": "a"}, usage={"prompt_tokens": 1}),
        payload({"content": "a", "role": "assistant"}),
        payload({"content": "MARK"}).replace(b"MARK", b"a\\"),
        payload({"content": "MARK"}).replace(b"MARK", b"\xff"),
        payload({"content": "MARK"}).replace(b"MARK", b"\x01"),
        payload({"content": "MARK"}).replace(b"MARK", b'a","role":"b'),
        payload({"content": "MARK"}).replace(b"MARK", b"\\ud800"),
        payload({"content": "a"}) + b"\n\ndata: " + payload({"content": "b"}),
        b"[DONE]",
        b"",
    ],
)
def test_any_other_chunk_has_to_be_read(data: bytes) -> None:
    assert found_by(refrain_of({"content": "hello"}), data) is None


@pytest.mark.parametrize("text", ["gpt-x", ":", ",", "assistant", "content", "id"])
def test_a_text_that_stands_elsewhere_too_is_not_taken_for_the_other(text: str) -> None:
    found = learn((None, payload({"content": text})), speaking({"content": text}))
    if found is not None:
        assert found_by(found, payload({"content": "another"})) == "another"
        assert found_by(found, payload({"content": text}, model="another")) is None


def test_a_provider_whose_chunks_all_differ_costs_few_looks() -> None:
    refrains, decoder = Refrains(), speaking({"content": "a"})
    found = [refrains.of((None, payload({"content": "a"}, nonce=str(n))), decoder) for n in range(8)]
    assert len({id(one) for one in found}) == 4


TEXTS = st.sampled_from(
    ["a", "b c", "", " ", "\n", "é", '"', "\\", "{", "}", '{"a":"', '"}', "<think>", "</think>", "x"]
)
DELTAS = st.one_of(
    TEXTS.map(lambda text: {"content": text}),
    TEXTS.map(lambda text: {"reasoning_content": text}),
    TEXTS.map(lambda text: {"reasoning": text, "reasoning_content": text}),
    TEXTS.map(lambda text: {"content": text, "reasoning": text}),
    st.builds(lambda text, index: call(text, index=index), TEXTS, st.integers(0, 1)),
    st.builds(lambda text, index: call(text, "Read", index=index, id=f"call_{index}"), TEXTS, st.integers(0, 2)),
    st.sampled_from([{"role": "assistant", "content": ""}, {"refusal": "no"}, {}, call("x"), {"tool_calls": []}]),
)
CHUNKS = st.builds(lambda delta, times: [payload(delta)] * times, DELTAS, st.integers(1, 4))
ODD = st.sampled_from([b'{"choices":[]}', b"{", b"[1]", payload({"content": "a"}, id="other"), payload({}, "length")])


@given(
    st.lists(CHUNKS | ODD.map(lambda data: [data]), max_size=8),
    st.sampled_from([ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES]),
    st.booleans(),
    st.booleans(),
)
def test_a_stream_says_the_same_however_it_was_read(
    runs: list[list[bytes]], client: Dialect, tags: bool, thinking: bool
) -> None:
    events = [event(data) for run in runs for data in run]
    events += [event(payload({}, "stop")), event(b"[DONE]")]
    context = {"think_tags": tags, "thinking_requested": thinking, "call_id": "x" * 24, "created": 1}
    assert told(events, client, context) == told([b"".join(events)], client, context)


BLOCKS = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "input_json_delta": {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}},
}
BLOCK = st.tuples(st.sampled_from(sorted(BLOCKS)), st.lists(TEXTS, max_size=6), st.booleans())


@given(st.lists(BLOCK, max_size=4), st.sampled_from([ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES]), st.booleans())
def test_a_stream_of_named_events_says_the_same_however_it_was_read(
    blocks: list[tuple[str, list[str], bool]], client: Dialect, pings: bool
) -> None:
    said: list[Any] = [{"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {}}}]
    for index, (kind, texts, odd) in enumerate(blocks):
        said.append({"type": "content_block_start", "index": index, "content_block": BLOCKS[kind]})
        deltas = [{"type": kind, ANTHROPIC_TEXTS[kind]: text} for text in texts]
        deltas += [{"type": "signature_delta", "signature": "s"}] * (odd and kind == "thinking_delta")
        said += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        said += [{"type": "ping"}] * pings
        said.append({"type": "content_block_stop", "index": index})
    said += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}, {"type": "message_stop"}]
    events = [b"event: %b\n" % one["type"].encode() + event(orjson.dumps(one)) for one in said]
    context = {"call_id": "x" * 24, "created": 1}
    assert told(events, client, context, ANTHROPIC_MESSAGES) == told(
        [b"".join(events)], client, context, ANTHROPIC_MESSAGES
    )


def told(reads: list[bytes], client: Dialect, context: Any, provider: Dialect = OPENAI_CHAT) -> tuple[Any, ...]:
    asked = Asked(
        Call(b"{}", {}, "", True, client), plain_target(provider, Options()), RuleContext(),
        AnswerContext(**context), Report(), "req_x",
    )  # fmt: skip
    answer = Passing(asked, swallow_usage=False) if client is provider else Translating(asked)
    out = b""
    for read in reads:
        out += answer.feed(read)
        if answer.fault is not None:
            break
    fault = str(answer.fault) if answer.fault else None
    return _MINTED.sub(b"", out), fault, answer.over, answer.reading.usage, list(map(str, asked.report))
