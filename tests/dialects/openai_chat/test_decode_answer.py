"""Chat answers become messages: nothing that a provider gets wrong costs the client its answer."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.envelope import unwrap
from portbroker.dialects.openai_chat.decode_answer import decode_answer
from portbroker.errors import ProviderError
from tests.dialects.openai_chat.chat_streams import blocks_of, chunk, decode
from tests.dialects.openai_chat.test_decode_stream import ODD


def body(message: object, finish: object = "stop", **rest: Any) -> Json:
    return {"id": "chatcmpl-a", "model": "m", "choices": [{"message": message, "finish_reason": finish}], **rest}


def read(message: object, finish: object = "stop", report: Report | None = None, **context: Any) -> Json:
    return decode_answer(body(message, finish), AnswerContext(**context), report if report is not None else Report())


def tool(arguments: object = "{}", name: object = "a", call_id: object = "c", **rest: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **rest}


@pytest.mark.parametrize(
    ("given_id", "shown"),
    [("chatcmpl-1.a", "msg_1_a"), ("gen-2", "msg_2"), ("chatcmpl-", "msg_"), (None, "msg_"), (7, "msg_")],
)
def test_an_id_is_cleaned_or_made(given_id: object, shown: str) -> None:
    answer = decode_answer({**body({"content": "x"}), "id": given_id}, AnswerContext(), Report())
    assert answer["id"].startswith(shown)
    assert len(answer["id"]) > 4


@pytest.mark.parametrize(
    ("message", "finish", "reason"),
    [
        ({"content": "x"}, "tool_calls", "end_turn"),
        ({"content": "x"}, "eos", "end_turn"),
        ({"content": "x"}, None, "end_turn"),
        ({"tool_calls": [tool()]}, None, "tool_use"),
        ({"tool_calls": [tool()]}, "length", "max_tokens"),
        ({"tool_calls": [tool()]}, "content_filter", "refusal"),
        ({"content": "x"}, "model_length", "model_context_window_exceeded"),
        ({"content": "x"}, "insufficient_system_resource", "max_tokens"),
        ({"refusal": "no"}, "stop", "refusal"),
    ],
)
def test_the_content_decides_what_a_finish_reason_means(message: Json, finish: str | None, reason: str) -> None:
    report = Report()
    assert read(message, finish, report)["stop_reason"] == reason
    assert len(report) == 0


def test_an_unknown_finish_reason_is_a_normal_end_and_is_reported() -> None:
    report = Report()
    assert read({"tool_calls": [tool()]}, "banana", report)["stop_reason"] == "tool_use"
    assert [str(a) for a in report] == ["unknown:finish_reason"]


def test_a_matched_stop_counts_only_if_the_caller_asked_for_it() -> None:
    choice = {"message": {"content": "x"}, "finish_reason": "stop", "matched_stop": "END"}
    for sequences, reason in ((("END",), "stop_sequence"), (("STOP",), "end_turn")):
        answer = decode_answer({"choices": [choice]}, AnswerContext(stop_sequences=sequences), Report())
        assert answer["stop_reason"] == reason


def test_a_refusal_without_content_is_shown_and_explained() -> None:
    answer = read({"content": None, "refusal": "I won't."})
    assert answer["content"] == [{"type": "text", "text": "I won't."}]
    assert answer["stop_details"] == {"type": "refusal", "category": None, "explanation": "I won't."}
    assert read({"content": "Hm.", "refusal": "No."})["content"] == [{"type": "text", "text": "Hm."}]


def test_calls_of_every_kind_become_tool_uses_with_ids_of_their_own() -> None:
    calls = [tool(), tool(call_id="c"), tool(call_id=""), tool(call_id="functions.a:0", name="short")]
    message = {"tool_calls": calls, "function_call": {"name": "old", "arguments": '{"x":1}'}}
    uses = read(message, tool_names={"short": "a_long_name"})["content"]
    assert [use["name"] for use in uses] == ["a", "a", "a", "a_long_name", "old"]
    assert [use["id"] for use in uses][::3] == ["c", "functions_a_0"]
    assert len({use["id"] for use in uses}) == 5
    assert uses[4]["input"] == {"x": 1}


def test_a_call_without_a_name_is_dropped_and_reported() -> None:
    report = Report()
    assert read({"content": "x", "tool_calls": [tool(name=""), "odd"]}, report=report)["stop_reason"] == "end_turn"
    assert [str(a) for a in report] == [f"dropped:choices[0].message.tool_calls[{i}]" for i in (0, 1)]


def test_thought_signatures_travel_before_the_calls_even_if_nobody_asked_for_thinking() -> None:
    signed = tool(extra_content={"google": {"thought_signature": "SIG"}})
    content = read({"tool_calls": [signed, tool(call_id="d")]}, state="gemini", thinking_requested=False)["content"]
    assert [block["type"] for block in content] == ["thinking", "tool_use", "tool_use"]
    assert unwrap(content[0]["signature"]) == {"k": "gts", "m": {"c": "SIG"}}
    assert len(read({"tool_calls": [signed]})["content"]) == 1


def test_signed_reasoning_details_come_back_whole_at_their_origin_only() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "S"}, {"type": "reasoning.encrypted", "data": "x"}]
    [block, _] = read({"content": "x", "reasoning_details": details}, origin="here")["content"]
    state = unwrap(block["signature"], "here")
    assert state is not None
    assert (block["thinking"], state["v"]) == ("hm", details)
    assert unwrap(block["signature"], "there") is None


def test_reasoning_is_left_out_unless_asked_for_and_its_text_when_omitted() -> None:
    message = {"reasoning_content": "hm", "content": "<think>hm</think> x"}
    assert [b["type"] for b in read(message, thinking_requested=False, think_tags=True)["content"]] == ["text"]
    thinking, text = read(message, thinking_omitted=True, think_tags=True)["content"]
    assert (thinking["thinking"], text["text"]) == ("", "x")
    assert unwrap(thinking["signature"]) == {"k": "rc"}


def test_parts_that_have_no_place_are_reported() -> None:
    report = Report()
    parts = [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "b"}]
    assert read({"content": parts, "images": [{}]}, report=report)["content"] == [{"type": "text", "text": "ab"}]
    assert [str(a) for a in report] == ["dropped:choices[0].message.content[1]", "dropped:choices[0].message.images"]


def test_citations_with_odd_offsets_keep_their_address() -> None:
    notes = [{"type": "url_citation", "url": "https://e.com", "start_index": "4"}, {"type": "file_citation"}, None]
    [block] = read({"content": "x", "annotations": notes})["content"]
    assert [(c["url"], c["cited_text"]) for c in block["citations"]] == [("https://e.com", "")]


THOUGHT = {"reasoning_tokens": 40}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"total_tokens": 55, "completion_tokens_details": THOUGHT}, (10, 0, 45)),  # the total shows it: counted apart
        ({"total_tokens": 15, "completion_tokens_details": THOUGHT}, (10, 0, 5)),
        ({"total_tokens": 99}, (10, 0, 5)),
        ({"prompt_cache_hit_tokens": 4}, (6, 4, 5)),
        ({"cached_tokens": 3}, (7, 3, 5)),
        ({"prompt_tokens_details": {"cached_tokens": 40}}, (0, 40, 5)),
        ({"prompt_tokens": 10.0, "completion_tokens": -5, "prompt_tokens_details": None}, (10, 0, 0)),
        ({"prompt_tokens": True, "total_tokens": float("inf")}, (0, 0, 5)),
    ],
)
def test_usage_is_read_in_every_spelling(usage: Json, expected: tuple[int, int, int]) -> None:
    read_as = decode_answer(
        body({"content": "x"}, usage={"prompt_tokens": 10, "completion_tokens": 5, **usage}), AnswerContext(), Report()
    )["usage"]
    counts = read_as["input_tokens"], read_as["cache_read_input_tokens"], read_as["output_tokens"]
    assert counts == expected
    assert all(type(count) is int for count in counts)


@pytest.mark.parametrize("usage", [None, {}, [], "many", {"prompt_tokens": "ten"}])
def test_an_answer_without_usage_is_marked_as_estimated(usage: object) -> None:
    answer = decode_answer(body({"content": "x" * 70}, usage=usage), AnswerContext(estimate=9), Report())
    assert answer["_estimated"] is True
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (9, 20)


@pytest.mark.parametrize(
    ("given_body", "kind"),
    [
        ({"choices": []}, "api"),
        ({"choices": None}, "api"),
        ({}, "api"),
        ({"error": {"message": "busy", "code": 429}}, "rate_limit"),
        ({"error": {"message": "x", "code": "insufficient_quota"}}, "billing"),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"code": 503}}]}, "overloaded"),
        ({"choices": [{"message": {"content": "par"}, "finish_reason": "abort"}]}, "api"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login"}, "choices": []}, "auth"),
        ({"object": "error", "message": "bad", "code": 404}, "not_found"),
        ({"detail": "no"}, "api"),
    ],
)
def test_an_error_or_an_empty_answer_in_a_200_is_an_error(given_body: Json, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        decode_answer(given_body, AnswerContext(), Report())
    assert caught.value.kind == kind


_TEXTS = st.sampled_from(["", " ", "a", "<think>b</think>c", " d\n"])
_MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": _TEXTS | st.lists(st.builds(lambda t: {"type": "text", "text": t}, _TEXTS), max_size=2),
        "reasoning_content": _TEXTS,
        "reasoning": _TEXTS,
        "tool_calls": st.lists(st.builds(tool, st.sampled_from(['{"x":1}', "", '{"y":[]}'])), max_size=3),
    },
)


@settings(deadline=None)
@given(_MESSAGES, st.booleans(), st.sampled_from(["stop", "tool_calls", "length"]))
def test_a_stream_of_one_chunk_says_what_the_answer_says(message: Json, tags: bool, finish: str) -> None:
    answer = read(message, finish, think_tags=tags)
    delta = message | {"tool_calls": [{**c, "index": i} for i, c in enumerate(message.get("tool_calls", []))]}
    events = decode([chunk(delta, finish)], think_tags=tags)
    streamed = blocks_of(events)
    assert [(b["type"], b.get("text"), b.get("thinking")) for b in answer["content"]] == [
        (b["type"], b.get("text"), b.get("thinking")) for b in streamed
    ]
    assert events[-2]["delta"]["stop_reason"] == answer["stop_reason"]


@settings(max_examples=200, deadline=None)
@given(ODD | st.builds(body, ODD, ODD), st.booleans())
def test_odd_bodies_raise_nothing_but_a_provider_error(odd: Any, tags: bool) -> None:
    if not isinstance(odd, dict):
        return
    context = AnswerContext(think_tags=tags, state="gemini")
    try:
        answer = decode_answer(odd, context, Report())
    except ProviderError:
        return
    assert all(block["type"] in ("thinking", "text", "tool_use") for block in answer["content"])
    assert answer["stop_reason"]
