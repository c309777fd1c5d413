"""A canonical stream as a Responses client reads it, put together again by the SDK's own accumulator."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from portbroker.cases.compare import differences
from portbroker.conversation import AnswerContext, Json, Report, answer_events
from portbroker.dialects.envelope import PLAIN, unwrap, wrap
from portbroker.dialects.openai_responses.encode_answer import StreamEncoder, encode_answer
from portbroker.errors import ProviderError
from tests.dialects.openai_responses.streams import ANSWERS, CONTEXTS, accumulate, block, parse, sent, stream, told

USE = {"type": "tool_use", "id": "call_1", "name": "run", "input": {}}
TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def text_delta(text: str) -> Json:
    return {"type": "text_delta", "text": text}


def of_type(events: list[Json], kind: str) -> list[Json]:
    return [event for event in events if event["type"] == f"response.{kind}"]


@given(ANSWERS, CONTEXTS)
def test_every_stream_is_numbered_closed_and_ends_with_what_it_told(answer: Json, context: AnswerContext) -> None:
    events = told(answer, context)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    added, done = of_type(events, "output_item.added"), of_type(events, "output_item.done")
    assert [e["output_index"] for e in added] == [e["output_index"] for e in done] == list(range(len(done)))
    assert [e["item"]["id"] for e in added] == [e["item"]["id"] for e in done]
    assert events[-1]["response"]["output"] == [e["item"] for e in done]
    names = {e["output_index"]: e["item"]["id"] for e in added}
    assert all(e["item_id"] == names[e["output_index"]] for e in events if "item_id" in e)
    assert len(set(names.values())) == len(names)


@given(ANSWERS, CONTEXTS)
def test_the_sdk_puts_together_what_was_sent(answer: Json, context: AnswerContext) -> None:
    events = told(answer, context)
    response = accumulate(events)
    assert not list(differences(events[-1]["response"], response.to_dict(mode="json"), loose=True))
    said = "".join(b["text"] for b in answer["content"] if b["type"] == "text")
    assert "".join(e["delta"] for e in of_type(events, "output_text.delta")) == said
    assert (response.status == "incomplete") == (answer["stop_reason"] in ("max_tokens", "refusal"))


@given(ANSWERS, CONTEXTS)
def test_a_whole_answer_is_what_its_stream_ends_with(answer: Json, context: AnswerContext) -> None:
    def anonymous(response: Json) -> Json:
        return {**response, "output": [{**item, "id": ""} for item in response["output"]]}

    whole = encode_answer(answer, context, Report())
    assert anonymous(whole) == anonymous(told(answer, context)[-1]["response"])


def test_texts_that_follow_each_other_are_parts_of_one_message_with_their_citations() -> None:
    web = {"type": "web_search_result_location", "url": "https://e.com", "title": "E", "cited_text": "c"}
    cited = [{"type": "citations_delta", "citation": web}, {"type": "citations_delta", "citation": {"type": "x"}}]
    events, reported = sent(stream(*block(0, TEXT, text_delta("See ")), *block(1, TEXT, *cited, text_delta("docs"))))
    (item,) = events[-1]["response"]["output"]
    assert [part["text"] for part in item["content"]] == ["See ", "docs"]
    annotation = {"type": "url_citation", "url": "https://e.com", "title": "E", "start_index": 0, "end_index": 4}
    assert item["content"][1]["annotations"] == [annotation]
    assert [e["annotation"] for e in of_type(events, "output_text.annotation.added")] == [annotation]
    assert reported == ["dropped:content[1].citations"]
    assert accumulate(events).output_text == "See docs"


@pytest.mark.parametrize(
    ("pieces", "text", "reported"),
    [
        (['{"inp', 'ut":"l', 's"}'], "ls", []),
        (['{"input":"cut'], '{"input":"cut', ["invalid:content[0].input"]),
        ([], "{}", ["invalid:content[0].input"]),
    ],
)
def test_a_custom_call_is_told_as_free_text_once_it_is_whole(pieces: list[str], text: str, reported: list[str]) -> None:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events, adaptations = sent(stream(*block(0, USE, *deltas)), AnswerContext(custom_tools=frozenset({"run"})))
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", text)
    assert [e["delta"] for e in of_type(events, "custom_tool_call_input.delta")] == [text]
    assert adaptations == reported


def test_a_namespaced_call_comes_back_in_two_parts() -> None:
    flat = {"mcp__fs__read": {"namespace": "mcp__fs", "name": "read", "kind": "function"}}
    context = AnswerContext(tool_map=flat, tool_names={"short": "mcp__fs__read"})
    events, _ = sent(stream(*block(0, {**USE, "name": "short", "input": {"a": 1}}), stop="tool_use"), context)
    (item,) = events[-1]["response"]["output"]
    assert (item["namespace"], item["name"], item["arguments"]) == ("mcp__fs", "read", '{"a":1}')


def thought(signature: str, text: str = "hm", **context: Any) -> list[Json]:
    deltas = [{"type": "thinking_delta", "thinking": text}, {"type": "signature_delta", "signature": signature}]
    events, _ = sent(stream(*block(0, THINKING, *deltas)), AnswerContext(**context))
    output: list[Json] = events[-1]["response"]["output"]
    return output


def test_thinking_is_a_summary_and_its_signature_travels_only_on_demand() -> None:
    summary = [{"type": "summary_text", "text": "hm"}]
    (plain,) = thought("S")
    assert (plain["summary"], "encrypted_content" in plain) == (summary, False)
    (sealed,) = thought("S", encrypted=True)
    assert (sealed["summary"], unwrap(sealed["encrypted_content"])) == (summary, {"k": "an", "s": "S"})
    ours = wrap("gts", m={"call_1": "G"})
    assert thought(ours, encrypted=True)[0]["encrypted_content"] == ours
    assert thought("S", thinking_requested=False) == []
    assert thought("S", "") == []


def test_thinking_that_is_not_shown_is_carried_with_its_text() -> None:
    (item,) = thought("S", encrypted=True, thinking_hidden=True)
    assert (item["summary"], unwrap(item["encrypted_content"])) == ([], {"k": "an", "s": "S", "t": "hm"})
    (item,) = thought(PLAIN, encrypted=True, thinking_hidden=True)
    assert unwrap(item["encrypted_content"]) == {"k": "rc", "t": "hm"}
    assert thought(PLAIN, "", encrypted=True, thinking_hidden=True) == []


def test_a_redacted_thought_is_carried_and_never_shown() -> None:
    answer = stream(*block(0, {"type": "redacted_thinking", "data": "R"}))
    (item,) = sent(answer, AnswerContext(encrypted=True))[0][-1]["response"]["output"]
    assert (item["summary"], unwrap(item["encrypted_content"])) == ([], {"k": "an", "r": "R"})
    assert sent(answer)[0][-1]["response"]["output"] == []


def test_what_a_call_said_of_itself_is_repeated() -> None:
    echo = {"instructions": "Be brief", "tools": [{"type": "function", "name": "f"}], "parallel_tool_calls": False}
    events, _ = sent(stream(), AnswerContext(echo=echo, request_model="asked", created=5))
    for event in (events[0], events[-1]):
        response = event["response"]
        assert {name: response[name] for name in echo} == echo
        assert (response["id"], response["model"], response["created_at"]) == ("resp_1", "asked", 5)
        assert response["store"] is False


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end_turn", "completed", None),
        ("tool_use", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("model_context_window_exceeded", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_the_reason_to_stop_is_a_status(stop: str, status: str, reason: str | None) -> None:
    events, _ = sent(stream(stop=stop))
    assert events[-1]["type"] == f"response.{status}"
    assert events[-1]["response"]["status"] == status
    assert (events[-1]["response"]["incomplete_details"] or {}).get("reason") == reason


def test_a_failure_ends_the_stream_with_what_was_finished() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    begun = stream(*block(0, TEXT, text_delta("a")), *block(1, USE), *block(2, TEXT, text_delta("b")))[:-3]
    data = b"".join(map(encoder.feed, begun))
    events = parse(data + encoder.fail(ProviderError("too many", kind="rate_limit"), "req_1"))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    response = events[-1]["response"]
    assert (events[-1]["type"], response["status"], response["usage"]) == ("response.failed", "failed", None)
    assert response["error"] == {"code": "rate_limit_exceeded", "message": "too many"}
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]


def test_a_failure_before_anything_was_told_is_a_whole_stream() -> None:
    events = parse(StreamEncoder(AnswerContext(), Report()).fail(ProviderError("no"), "req_1"))
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]


def test_pings_are_comments_and_unknown_events_nothing() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    assert encoder.ping() == encoder.feed({"type": "ping"}) == b": ping\n\n"
    assert encoder.feed({"type": "event_of_tomorrow"}) == b""


def test_half_a_surrogate_pair_is_escaped() -> None:
    encoder = StreamEncoder(AnswerContext(), Report())
    events = stream(*block(0, TEXT, text_delta("\ud83d"), text_delta("\ude00")))
    data = b"".join(map(encoder.feed, events))
    assert b"\\ud83d" in data
    assert orjson.loads(data.rsplit(b"data: ", 1)[1])["response"]["output"][0]["content"][0]["text"] == "\U0001f600"


def test_a_pause_is_reported() -> None:
    assert sent(stream(stop="pause_turn"))[1] == ["degraded:stop_reason"]


def test_usage_adds_cached_and_written_tokens_to_the_input() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 4, "output_tokens": 8,
             "output_tokens_details": {"thinking_tokens": 5}}  # fmt: skip
    answer = {"id": "", "model": "m", "content": [], "stop_reason": "end_turn", "usage": usage}
    assert list(answer_events(answer))
    assert encode_answer(answer, AnswerContext(), Report())["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 15,
    }
