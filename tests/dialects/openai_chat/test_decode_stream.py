"""Chat streams become streams that every Anthropic client can follow, whatever the order of their deltas."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.envelope import unwrap
from portbroker.dialects.openai_chat.decode_stream import StreamDecoder
from portbroker.errors import ProviderError
from tests.dialects.openai_chat.chat_streams import blocks_of, call, chunk, decode

END = [chunk({}, "stop"), "[DONE]"]


def told(events: list[Json]) -> list[tuple[str, str]]:
    """The blocks as (kind, what they say)."""
    return [(b["type"], b["json"] or b.get("text") or b.get("thinking", "")) for b in blocks_of(events)]


# calls


def test_custom_tool_text_becomes_one_string_of_an_object() -> None:
    deltas: list[Json] = [
        {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": 'select "'}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": 'a"\n'}}]},
    ]
    [block] = blocks_of(decode([*map(chunk, deltas), *END]))
    assert json.loads(block["json"]) == {"input": 'select "a"\n'}


def test_a_legacy_function_call_is_a_call() -> None:
    deltas = [{"function_call": {"name": "a", "arguments": '{"x"'}}, {"function_call": {"arguments": ":1}"}}]
    events = decode([*map(chunk, deltas), chunk({}, "function_call")])
    [block] = blocks_of(events)
    assert (block["name"], block["json"]) == ("a", '{"x":1}')
    assert block["id"].startswith("toolu_")
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_placeholder_gives_way_to_the_arguments_that_follow() -> None:
    deltas = [call("{}", "a", index=0, id="c"), call('{"x":', index=0), call("1}", index=0)]
    assert told(decode([*map(chunk, deltas), *END])) == [("tool_use", '{"x":1}')]


def test_a_raw_line_end_inside_a_string_is_escaped_and_outside_is_kept() -> None:
    deltas = [call('{\n"x":"a', "a", index=0, id="c"), call("\nb\\", index=0), call('"\n"}', index=0)]
    [block] = blocks_of(decode([*map(chunk, deltas), *END]))
    assert block["json"] == '{\n"x":"a\\nb\\"\\n"}'


@pytest.mark.parametrize(
    ("sent", "told_as", "adaptations"),
    [
        ('"{\\"x\\": 1}"', {"x": 1}, []),
        ("null", {}, []),
        ("ls -la", {"_raw_arguments": "ls -la"}, ["invalid:choices[0].delta.tool_calls[0].function.arguments"]),
    ],
)
def test_arguments_that_are_no_object_are_read_as_in_an_answer(
    sent: str, told_as: Json, adaptations: list[str]
) -> None:
    report = Report()
    deltas = [call(sent[:2], "a", index=0, id="c"), call(sent[2:], index=0)]
    [block] = blocks_of(decode([*map(chunk, deltas), *END], report))
    assert json.loads(block["json"]) == told_as
    assert [str(a) for a in report] == adaptations


def test_a_call_without_a_name_is_dropped_and_reported() -> None:
    report = Report()
    events = decode([chunk(call('{"x":1}', index=0, id="c")), chunk({"content": "hi"}), *END], report)
    assert told(events) == [("text", "hi")]
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert [str(a) for a in report] == ["dropped:tool_call"]


def test_a_nameless_call_does_not_hold_up_the_next() -> None:
    deltas = [call('{"x":', index=0, id="c1"), call('{"y":2}', "b", index=1, id="c2"), call("1}", "a", index=0)]
    blocks = blocks_of(decode([*map(chunk, deltas), *END]))
    assert [(b["id"], b["json"]) for b in blocks] == [("c2", '{"y":2}'), ("c1", '{"x":1}')]


def test_two_calls_never_have_one_id() -> None:
    deltas = [call('{"x":1}', "a", index=0, id="c"), call('{"x":2}', "a", index=1, id="c")]
    first, second = blocks_of(decode([*map(chunk, deltas), *END]))
    assert first["id"] == "c"
    assert second["id"].startswith("toolu_")
    assert second["json"] == '{"x":2}'


def test_ids_are_cleaned_and_short_names_mapped_back() -> None:
    deltas = [call("{}", "short", index=0, id="functions.get:0")]
    [block] = blocks_of(decode([*map(chunk, deltas), *END], tool_names={"short": "a_very_long_name"}))
    assert (block["id"], block["name"]) == ("functions_get_0", "a_very_long_name")


def test_deltas_of_an_earlier_call_with_the_same_index_find_it_by_id() -> None:
    deltas: list[Json] = [
        call('{"x":', "a", index=0, id="c1"),
        call('{"y":', "b", index=0, id="c2"),
        call("1}", index=0, id="c1"),
        call("2}", index=0, id="c2"),
    ]
    assert [b["json"] for b in blocks_of(decode([*map(chunk, deltas), *END]))] == ['{"x":1}', '{"y":2}']


def test_text_after_complete_calls_ends_them() -> None:
    deltas = [call('{"x":1}', "a", index=0, id="c1"), {"content": "\n"}, {"content": "done"}]
    decoder = StreamDecoder(AnswerContext(), Report())
    kinds = [event["type"] for delta in deltas for event in decoder.feed(chunk(delta))]
    assert kinds[-3:] == ["content_block_stop", "content_block_start", "content_block_delta"]


def test_what_waits_for_a_call_is_told_in_its_order() -> None:
    deltas = [call('{"x":', "a", index=0), {"content": "one "}, {"reasoning": "hm"}, {"content": "two"}]
    events = decode([*map(chunk, deltas), chunk(call("1}", index=0)), *END])
    assert told(events) == [("tool_use", '{"x":1}'), ("text", "one "), ("thinking", "hm"), ("text", "two")]


# reasoning


def test_reasoning_is_told_only_to_those_who_asked() -> None:
    chunks = [chunk({"reasoning_content": "hm"}), chunk({"content": "hi"}), *END]
    assert told(decode(chunks, thinking_requested=False)) == [("text", "hi")]


def test_omitted_thinking_is_a_signature_alone() -> None:
    [block, _] = blocks_of(decode([chunk({"reasoning": "hm"}), chunk({"content": "x"}), *END], thinking_omitted=True))
    assert block["thinking"] == ""
    assert unwrap(block["signature"]) == {"k": "rc"}


def test_signed_reasoning_details_are_put_together_for_the_next_turn() -> None:
    entry = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    deltas: list[Json] = [
        {"reasoning": "a", "reasoning_details": [{**entry, "text": "a"}]},
        {"reasoning": "b", "reasoning_details": [{**entry, "text": "b"}]},
        {"reasoning_details": [{**entry, "text": "", "signature": "SIG"}]},
        {"content": "x"},
    ]
    [block, _] = blocks_of(decode([*map(chunk, deltas), *END], origin="OpenRouter/claude"))
    assert block["thinking"] == "ab"
    state = unwrap(block["signature"], "OpenRouter/claude")
    assert state is not None
    assert state["v"] == [{**entry, "text": "ab", "signature": "SIG"}]
    assert unwrap(block["signature"], "elsewhere") is None


def test_encrypted_reasoning_without_text_travels_in_an_empty_block() -> None:
    secret = {"type": "reasoning.encrypted", "data": "xyz", "id": "rs_1"}
    deltas = [{"reasoning_details": [secret]}, call("{}", "a", index=0, id="c")]
    thinking, tool = blocks_of(decode([*map(chunk, deltas), *END]))
    assert unwrap(thinking["signature"]) == {"k": "rd", "v": [secret]}
    assert tool["id"] == "c"


def test_thought_signatures_travel_before_their_call_even_if_nobody_asked_for_thinking() -> None:
    signed: Json = {"extra_content": {"google": {"thought_signature": "SIG"}}}
    deltas = [{"content": "hi"}, call('{"x":1}', "a", index=0, id="", **signed), call("{}", "b", index=1, id="c2")]
    text, state, first, second = blocks_of(
        decode([*map(chunk, deltas), *END], thinking_requested=False, state="gemini")
    )
    assert (text["type"], state["thinking"], second["id"]) == ("text", "", "c2")
    assert unwrap(state["signature"]) == {"k": "gts", "m": {first["id"]: "SIG"}}
    assert len(blocks_of(decode([*map(chunk, deltas), *END], thinking_requested=False))) == 3


def test_a_late_thought_signature_is_not_lost() -> None:
    signed: Json = {"extra_content": {"google": {"thought_signature": "SIG"}}}
    deltas = [call('{"x"', "a", index=0, id="c"), call(":1}", index=0, **signed)]
    [_, state] = blocks_of(decode([*map(chunk, deltas), *END], state="gemini"))
    assert unwrap(state["signature"]) == {"k": "gts", "m": {"c": "SIG"}}


@given(st.data())
def test_think_tags_are_found_wherever_they_are_cut(data: st.DataObject) -> None:
    text = "\n<think>hm < </thin></think>\n\nok <think>"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    events = decode([*(chunk({"content": piece}) for piece in pieces), *END], think_tags=True)
    assert told(events) == [("thinking", "hm < </thin>"), ("text", "ok <think>")]


# text, refusals, the rest


def test_a_refusal_is_text_and_the_explanation() -> None:
    events = decode([chunk({"refusal": "I "}), chunk({"refusal": "won't"}), *END])
    assert told(events) == [("text", "I won't")]
    assert events[-2]["delta"]["stop_details"]["explanation"] == "I won't"


def test_citations_follow_the_text_that_they_count_in() -> None:
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://e.com", "title": "E", "start_index": 4, "end_index": 8},
    }
    deltas: list[Json] = [{"content": "See "}, {"content": "docs here"}, {"annotations": [note]}]
    [block] = blocks_of(decode([*map(chunk, deltas), *END]))
    assert [(c["cited_text"], c["url"]) for c in block["citations"]] == [("docs", "https://e.com")]


def test_sound_is_reported_and_its_transcript_told() -> None:
    report = Report()
    deltas: list[Json] = [{"audio": {"id": "a", "transcript": "hel"}}, {"audio": {"transcript": "lo", "data": "AA=="}}]
    assert told(decode([*map(chunk, deltas), *END], report)) == [("text", "hello")]
    assert [str(a) for a in report] == ["dropped:choices[0].delta.audio"]


def test_other_choices_are_not_told() -> None:
    other = {"id": "x", "choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": None}]}
    assert told(decode([chunk({"content": "a"}), other, chunk({"content": "b"}), *END])) == [("text", "ab")]


def test_an_azure_preamble_does_not_name_the_message() -> None:
    preamble = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    [start, *_] = decode([preamble, chunk({"content": "a"}), *END])
    assert start["message"]["id"] == "msg_s"


# usage and the end


def test_a_usage_chunk_after_the_finish_reason_ends_the_answer() -> None:
    decoder = StreamDecoder(AnswerContext(), Report())
    decoder.feed(chunk({"content": "a"}, "stop"))
    assert (decoder.finishing, decoder.finished) == (True, False)
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    events = decoder.feed({"id": "chatcmpl-s", "choices": [], "usage": usage, "service_tier": "fast"})
    assert decoder.finished
    assert events[-2]["usage"]["service_tier"] == "priority"
    assert (decoder.done(), decoder.finish(), decoder.feed(chunk({"content": "late"}))) == ([], [], [])


def test_without_usage_both_counts_are_estimated_and_said_to_be_unknown() -> None:
    decoder = StreamDecoder(AnswerContext(estimate=7), Report())
    decoder.feed(chunk({"content": "a" * 35}))
    decoder.feed(chunk({"content": "b" * 35}))
    [*_, delta, _] = decoder.done()
    assert decoder.usage is None
    assert (delta["usage"]["input_tokens"], delta["usage"]["output_tokens"]) == (7, 20)


@pytest.mark.parametrize("last", [[], [chunk({"content": "par"})], [{"id": "", "choices": []}]])
def test_a_body_that_ends_too_early_is_an_error(last: list[Json]) -> None:
    with pytest.raises(ProviderError) as caught:
        decode(last)
    assert caught.value.retryable


def test_done_without_any_answer_is_an_error() -> None:
    with pytest.raises(ProviderError):
        decode(["[DONE]"])


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, "rate_limit"),
        ({"error": "boom"}, "api"),
        ([{"error": {"message": "x", "status": "RESOURCE_EXHAUSTED"}}], "rate_limit"),
        ({"base_resp": {"status_code": 1002, "status_msg": "limit"}, "choices": None}, "rate_limit"),
        ({"detail": "not today"}, "api"),
        (chunk({}, "network_error"), "api"),
        ({"choices": [{"index": 0, "delta": {}, "error": {"message": "x", "code": 402}}]}, "billing"),
    ],
)
def test_errors_in_chunks_are_errors(bad: Any, kind: str) -> None:
    decoder = StreamDecoder(AnswerContext(), Report())
    decoder.feed(chunk({"content": "a"}))
    with pytest.raises(ProviderError) as caught:
        decoder.feed(bad)
    assert caught.value.kind == kind


# any stream at all

_OBJECTS = st.dictionaries(
    st.text(max_size=4), st.text(max_size=8) | st.integers() | st.lists(st.booleans()), max_size=3
)
_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@st.composite
def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def _calls(draw: st.DrawFn) -> tuple[list[Json], list[tuple[str, str]]]:
    """Deltas of some calls, and the (name, arguments) that must come of them."""
    way = draw(st.sampled_from(["indexed", "repeated", "same index", "ids only", "whole"]))
    count = draw(st.integers(0, 4))
    deltas: list[list[Json]] = []
    expected = []
    for i in range(count):
        arguments = draw(st.just("") | _OBJECTS.map(json.dumps) | _OBJECTS.map(lambda o: json.dumps(o, indent=1)))
        pieces = [arguments or "{}"] if way == "whole" else draw(_pieces(arguments))
        name, names = f"tool_{i % 2}", ["whole", "repeated"]
        entries = [call(p, name if n == 0 or way in names else None) for n, p in enumerate(pieces)]
        for n, entry in enumerate(entries):
            tool = entry["tool_calls"][0]
            tool |= {} if way == "ids only" else {"index": 0 if way in ("same index", "whole") else i}
            tool |= {"id": f"call_{i}"} if way not in ("indexed", "whole") or (n == 0 and way != "whole") else {}
        deltas.append(entries)
        expected.append((name, arguments or "{}"))
    if way == "whole" or not draw(st.booleans()):
        return [entry for entries in deltas for entry in entries], expected
    return _mixed(draw, deltas), expected


def _mixed(draw: st.DrawFn, lists: list[list[Json]]) -> list[Json]:
    """The lists merged at random, each in its order."""
    lists = [list(entries) for entries in lists if entries]
    mixed = []
    while lists:
        entries = draw(st.sampled_from(lists))
        mixed.append(entries.pop(0))
        lists = [rest for rest in lists if rest]
    return mixed


@st.composite
def _streams(draw: st.DrawFn) -> tuple[list[Any], Json]:
    """A stream, and what it says."""
    texts, thoughts = draw(st.lists(_WORDS, max_size=4)), draw(st.lists(_WORDS, max_size=3))
    calls, expected = draw(_calls())
    name = draw(st.sampled_from(["reasoning", "reasoning_content"]))
    parts = [[{"content": t} for t in texts], [{name: t} for t in thoughts], calls]
    chunks = [chunk(delta) for delta in _mixed(draw, parts)]
    chunks.append(chunk({}, draw(st.sampled_from(["stop", "tool_calls", None]))))
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    for place in draw(st.lists(st.integers(0, len(chunks) - 1), max_size=2)):
        chunks[place] = {**chunks[place], "usage": usage}
    if draw(st.booleans()):
        chunks.append({"id": "chatcmpl-s", "choices": [], "usage": usage})
    return [*chunks, "[DONE]"], {"texts": texts, "thoughts": thoughts, "calls": expected}


def _visible(texts: list[str]) -> str:
    return "".join("".join(texts).split())


@settings(max_examples=200, deadline=None)
@given(_streams())
def test_nothing_is_lost_and_blocks_are_serial_whatever_the_order(stream: tuple[list[Any], Json]) -> None:
    chunks, said = stream
    events = decode(chunks)
    blocks = blocks_of(events)
    uses = [(b["name"], b["json"]) for b in blocks if b["type"] == "tool_use"]
    assert sorted(uses) == sorted(said["calls"])
    assert _visible([b["text"] for b in blocks if b["type"] == "text"]) == _visible(said["texts"])
    assert _visible([b["thinking"] for b in blocks if b["type"] == "thinking"]) == _visible(said["thoughts"])
    assert all(b["text"].strip() for b in blocks if b["type"] == "text")
    assert len({b["id"] for b in blocks if b["type"] == "tool_use"}) == len(uses)
    assert events[-2]["delta"]["stop_reason"] == ("tool_use" if uses else "end_turn")


_KEYS = st.sampled_from(
    [
        *(
            "id",
            "model",
            "choices",
            "index",
            "delta",
            "content",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "usage",
        ),
        *("reasoning_details", "type", "text", "refusal", "finish_reason", "prompt_tokens", "custom", "extra_content"),
        *(
            "reasoning",
            "annotations",
            "url_citation",
            "audio",
            "service_tier",
            "function_call",
            "prompt_tokens_details",
        ),
        *("start_index", "end_index", "stop_reason", "error", "base_resp", "status_code", "signature", "summary"),
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", " ", "{", "reasoning.text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)
_DELTAS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "tool_calls", "reasoning_details", "audio"), ODD)
)
_CHUNKS = ODD | st.dictionaries(_KEYS, ODD, max_size=6) | st.builds(chunk, _DELTAS) | st.builds(chunk, ODD)


@settings(max_examples=200, deadline=None)
@given(st.lists(_CHUNKS, max_size=6), st.booleans())
def test_odd_chunks_raise_nothing_but_a_provider_error(chunks: list[Any], tags: bool) -> None:
    try:
        events = decode([chunk({"content": "a"}), *chunks, "[DONE]"], think_tags=tags, state="gemini")
    except ProviderError:
        return
    blocks_of(events)
