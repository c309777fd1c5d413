"""An Anthropic provider's answer: kept as it came, refused when it is none."""

from typing import Any

import pytest

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.anthropic_messages.decode_answer import decode_answer
from portbroker.errors import ProviderError


def message(**fields: Any) -> Json:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}, **fields,
    }  # fmt: skip


def decode(body: Any, **context: Any) -> Json:
    return decode_answer(body, AnswerContext(**context), Report())


def test_an_answer_is_kept_whole_with_what_nobody_knows_yet() -> None:
    body = message(
        content=[
            {"type": "text", "text": "x", "citations": [{"type": "new_kind", "x": 1}]},
            {"type": "block_of_tomorrow", "data": {}},
        ],
        container={"id": "c"},
        stop_reason="reason_of_tomorrow",
    )
    assert decode(body) == body


def test_usage_is_estimated_and_says_so_when_the_provider_counted_nothing() -> None:
    body = message(content=[{"type": "text", "text": "word " * 100}])
    del body["usage"]
    answer = decode(body, estimate=7)
    assert answer["_estimated"] is True
    assert answer["usage"]["input_tokens"] == 7
    assert 50 < answer["usage"]["output_tokens"] < 500


def test_an_error_in_a_200_is_an_error() -> None:
    with pytest.raises(ProviderError, match="Overloaded") as caught:
        decode({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert caught.value.kind == "overloaded"


@pytest.mark.parametrize(
    "body",
    [
        None, [], 3, "text", {}, {"content": "text"}, message(content=None), message(type="completion"),
        message(content=["text"]), message(content=[{"text": "x"}]), message(content=[{"type": []}]),
        message(content=[{"type": "text"}]), message(content=[{"type": "text", "text": None}]),
        message(content=[{"type": "text", "text": "x", "citations": 3}]), message(content=[{"type": "thinking"}]),
        message(content=[{"type": "redacted_thinking"}]),
        message(content=[{"type": "tool_use", "id": "a", "name": "b"}]),
        message(content=[{"type": "tool_use", "id": "a", "name": None, "input": {}}]),
        message(content=[{"type": "tool_use", "id": "a", "name": "b", "input": "{}"}]),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(body: Any) -> None:
    with pytest.raises(ProviderError):
        decode(body)
