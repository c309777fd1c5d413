"""An Anthropic provider's stream: handed on as it is, and its end and counts known."""

from typing import Any

import pytest

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.anthropic_messages.decode_answer import StreamDecoder
from portbroker.errors import ProviderError

START: Json = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}},
}
DELTA: Json = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
STOP: Json = {"type": "message_stop"}


def decoder(*chunks: Any) -> StreamDecoder:
    fresh = StreamDecoder(AnswerContext(), Report())
    for chunk in chunks:
        fresh.feed(chunk)
    return fresh


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "event_of_tomorrow", "x": 1},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "block_of_tomorrow"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "delta_of_tomorrow", "x": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 0},
        DELTA,
        STOP,
    ],
)
def test_an_event_is_handed_on_as_it_is(event: Json) -> None:
    (handed,) = decoder(START).feed(event)
    assert handed is event


def test_counts_are_cumulative_and_the_end_is_seen_coming() -> None:
    stream = decoder(START)
    assert (stream.usage, stream.finishing, stream.finished) == ({"input_tokens": 5, "output_tokens": 1}, False, False)
    stream.feed({**DELTA, "usage": {"output_tokens": 9, "input_tokens": None}})
    assert (stream.usage, stream.finishing, stream.finished) == ({"input_tokens": 5, "output_tokens": 9}, True, False)
    stream.feed(STOP)
    assert stream.finished
    assert stream.finish() == []


def test_nothing_follows_the_end() -> None:
    stream = decoder(START, DELTA, STOP)
    assert stream.feed({"type": "error", "error": {"message": "late"}}) == []
    assert stream.feed(START) == []
    assert stream.done() == []


def test_a_body_that_ends_after_its_finish_reason_only_lacks_the_stop() -> None:
    decoder = StreamDecoder(AnswerContext(), Report())
    for chunk in (START, DELTA):
        decoder.feed(chunk)
    assert decoder.finish() == [{"type": "message_stop"}]
    assert decoder.finish() == []


@pytest.mark.parametrize("chunks", [(), (START,)])
def test_a_body_that_ends_before_its_answer_is_an_error(chunks: tuple[Json, ...]) -> None:
    with pytest.raises(ProviderError):
        decoder(*chunks).finish()


def test_a_done_that_anthropic_never_says_ends_only_what_has_a_reason_to_end() -> None:
    assert decoder(START, DELTA).done() == [STOP]
    assert decoder(START).done() == []


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"error": {"message": "Overloaded", "code": 529}},
        [{"error": {"message": "Overloaded", "code": 503}}],
    ],
)
def test_an_error_in_the_stream_is_raised_with_its_class(error: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        decoder(START).feed(error)
    assert (caught.value.kind, caught.value.message) == ("overloaded", "Overloaded")


@pytest.mark.parametrize("chunk", [None, [], 3, "x", {}, {"type": 3}, {"type": None}])
def test_what_is_no_event_is_ignored(chunk: Any) -> None:
    assert decoder(START).feed(chunk) == []


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "content_block_start", "content_block": {"type": "text"}},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": 3}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "citations": 3}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "index": [], "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": []}},
        {"type": "content_block_stop"},
        {"type": "message_delta", "delta": None},
    ],
)
def test_an_event_without_what_makes_it_one_is_an_error(chunk: Json) -> None:
    with pytest.raises(ProviderError):
        decoder(START).feed(chunk)


@pytest.mark.parametrize("chunk", [DELTA, STOP, {"type": "message_start"}, {"type": "content_block_stop", "index": 0}])
def test_an_answer_begins_with_its_start(chunk: Json) -> None:
    with pytest.raises(ProviderError):
        decoder().feed(chunk)


def test_a_start_without_names_is_given_empty_ones_and_a_second_start_is_ignored() -> None:
    stream = decoder()
    (event,) = stream.feed({"type": "message_start", "message": {"id": None}})
    assert event["message"] == {"id": "", "model": ""}
    assert stream.feed(START) == []
    assert stream.usage is None
