"""A canonical answer as a chat client reads it: what the shared cases do not show."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.openai_chat.encode_answer import encode_answer


def answer(*content: Json, **fields: Any) -> Json:
    return {
        "id": "msg_1",
        "model": "claude",
        "content": list(content),
        "stop_reason": "end_turn",
        "usage": {},
        **fields,
    }


def encode(canonical: Json, **context: Any) -> tuple[Json, list[str]]:
    report = Report()
    completion = encode_answer(canonical, AnswerContext(**context), report)
    ChatCompletion.model_validate(completion)
    return completion, list(map(str, report))


def told(canonical: Json, **context: Any) -> Json:
    message: Json = encode(canonical, **context)[0]["choices"][0]["message"]
    return message


TEXT = {"type": "text", "text": "x"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"input": "ls"}}


def test_thinking_is_text_for_people_and_signed_blocks_for_the_next_turn() -> None:
    message = told(
        answer(
            {"type": "thinking", "thinking": "one", "signature": "S1"},
            {"type": "redacted_thinking", "data": "R"},
            {"type": "thinking", "thinking": "", "signature": "S2"},
            {"type": "thinking", "thinking": "two"},
            TEXT,
        )
    )
    assert message["reasoning_content"] == "one\n\ntwo"
    kept = "anthropic-claude-v1"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "one", "signature": "S1", "format": kept, "index": 0},
        {"type": "reasoning.encrypted", "data": "R", "format": kept, "index": 1},
        {"type": "reasoning.text", "text": "", "signature": "S2", "format": kept, "index": 2},
    ]


def test_no_thinking_leaves_no_keys() -> None:
    assert set(told(answer(TEXT))) == {"role", "content", "refusal"}
    assert "reasoning_content" not in told(answer({"type": "thinking", "thinking": "", "signature": "S"}))


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("compaction", "stop"), ("pause_turn", "stop"),
        ("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("tool_use", "tool_calls"),
        ("refusal", "content_filter"), (None, "stop"), ("reason_of_tomorrow", "stop"),
    ],
)  # fmt: skip
def test_every_reason_to_stop_has_its_finish_reason(stop: str | None, finish: str) -> None:
    assert encode(answer(TEXT, stop_reason=stop))[0]["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("stop", [None, "reason_of_tomorrow"])
def test_an_unknown_reason_with_calls_is_a_call(stop: str | None) -> None:
    assert encode(answer(CALL, stop_reason=stop))[0]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_refusal_that_explains_nothing_still_says_something() -> None:
    for details in (None, {}, {"explanation": None}):
        assert told(answer(stop_reason="refusal", stop_details=details))["refusal"]


def test_names_return_as_the_client_gave_them_and_custom_calls_as_free_text() -> None:
    (call,) = told(answer(CALL), tool_names={"run": "very_long"})["tool_calls"]
    assert call["function"] == {"name": "very_long", "arguments": '{"input":"ls"}'}
    (call,) = told(answer(CALL), tool_names={"run": "very_long"}, custom_tools=frozenset({"very_long"}))["tool_calls"]
    assert call == {"id": "toolu_1", "type": "custom", "custom": {"name": "very_long", "input": "ls"}}


@pytest.mark.parametrize(
    ("given", "text", "adaptations"),
    [
        ({"input": "ls"}, "ls", []),
        ({"input": "ls", "also": 1}, "ls", ["invalid:content[0].input"]),
        ({"input": 3}, '{"input":3}', ["invalid:content[0].input"]),
        ({}, "{}", ["invalid:content[0].input"]),
    ],
)
def test_a_custom_call_that_is_not_what_was_asked_for_is_passed_on_and_reported(
    given: Json, text: str, adaptations: list[str]
) -> None:
    completion, reported = encode(answer({**CALL, "input": given}), custom_tools=frozenset({"run"}))
    assert completion["choices"][0]["message"]["tool_calls"][0]["custom"]["input"] == text
    assert reported == adaptations


def test_citations_that_are_no_web_pages_are_reported() -> None:
    page = {"type": "page_location", "cited_text": "c"}
    web = {"type": "web_search_result_location", "url": "https://e.com", "title": None}
    completion, reported = encode(answer(TEXT, {"type": "text", "text": "yz", "citations": [page, web]}))
    assert reported == ["dropped:content[1].citations"]
    (annotation,) = completion["choices"][0]["message"]["annotations"]
    assert annotation["url_citation"] == {"start_index": 1, "end_index": 3, "title": "", "url": "https://e.com"}


@pytest.mark.parametrize(
    ("tier", "shown"), [("standard", "default"), ("priority", "priority"), ("batch", None), (3, None), (None, None)]
)
def test_the_service_tier_is_shown_where_there_is_a_word_for_it(tier: object, shown: str | None) -> None:
    assert encode(answer(TEXT, usage={"service_tier": tier}))[0].get("service_tier") == shown


def test_counts_are_clean_whatever_was_counted() -> None:
    usage = {
        "input_tokens": -5, "cache_read_input_tokens": 2.0, "cache_creation_input_tokens": None, "output_tokens": 1e300,
        "output_tokens_details": {"thinking_tokens": 4},
    }  # fmt: skip
    assert encode(answer(TEXT, usage=usage))[0]["usage"] == {
        "prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip


def test_the_model_is_the_one_that_was_asked_for() -> None:
    assert encode(answer(TEXT), request_model="fast", created=7)[0]["model"] == "fast"
    assert encode(answer(TEXT), created=7)[0]["created"] == 7


def test_an_answer_without_an_id_is_given_one() -> None:
    first, second = (encode(answer(TEXT, id=""))[0]["id"] for _ in range(2))
    assert first.startswith("chatcmpl-")
    assert first != second


@pytest.mark.parametrize("given", ["msg_abc", "chatcmpl-abc", "abc"])
def test_an_id_has_its_prefix_once(given: str) -> None:
    assert encode(answer(TEXT, id=given))[0]["id"] == "chatcmpl-abc"
