"""A conversation as a Responses provider is asked: items, tools, scalars, and what goes back and forth unharmed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseCreateParams
from pydantic import TypeAdapter

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.anthropic_messages.decode_request import decode_request as anthropic
from portbroker.dialects.envelope import wrap
from portbroker.dialects.openai_chat.decode_request import decode_request as chat
from portbroker.dialects.openai_responses.encode_request import encode_request
from portbroker.fieldmap.params import dialect_params

BODY: TypeAdapter[Any] = TypeAdapter(ResponseCreateParams)
ORIGIN = "P/m"


def encode(read: Any, body: Json, **options: Any) -> tuple[Json, AnswerContext, list[str]]:
    report = Report()
    conversation = read({"model": "m", "max_tokens": 100, **body}, report)
    conversation.answer.origin = ORIGIN
    chosen = Options.model_validate(options)
    out, context = encode_request(conversation, chosen, dialect_params("openai.responses", chosen), report)
    assert encode_request(conversation, chosen, dialect_params("openai.responses", chosen), Report())[0] == out
    BODY.validate_python({**out, "input": [_typed(item) for item in out["input"]]})
    return out, context, list(map(str, report))


def _typed(item: Json) -> Json:
    """The types want an id and a status of a message of the assistant's; the API does without, and we have none."""
    return {**item, "id": "msg_1", "status": "completed"} if item.get("role") == "assistant" else item


def items(*messages: Json, **options: Any) -> tuple[list[Json], list[str]]:
    out, _, reported = encode(anthropic, {"messages": list(messages)}, **options)
    return out["input"], reported


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def use(name: str = "c1", **given: Any) -> Json:
    return {"type": "tool_use", "id": name, "name": "run", "input": given}


def result(name: str = "c1", content: Any = "ok", **rest: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **rest}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def said(role: str, *words: str) -> Json:
    if role == "assistant":
        return {"type": "message", "role": role, "content": [
            {"type": "output_text", "text": word, "annotations": []} for word in words]}  # fmt: skip
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": word} for word in words]}


def call(name: str = "c1", arguments: str = "{}") -> Json:
    return {"type": "function_call", "call_id": name, "name": "run", "arguments": arguments}


def output(name: str = "c1", said: Any = "ok") -> Json:
    return {"type": "function_call_output", "call_id": name, "output": said}


def test_a_conversation_is_items_in_its_order() -> None:
    found, reported = items(
        user("hi"), assistant(text("I "), text("look"), use(a=1)), user([text("also"), result()]), assistant(text("so"))
    )
    assert found == [
        said("user", "hi"), said("assistant", "I ", "look"), call(arguments='{"a":1}'), output(), said("user", "also"),
        said("assistant", "so"),
    ]  # fmt: skip
    assert reported == ["degraded:prefill"]


def test_every_call_has_one_output_and_no_result_is_lost() -> None:
    found, reported = items(
        user("hi"), assistant(use("c1"), use("c2"), use("c3")), user([result("c2", "two"), result("cX", "lost")]),
        user([result("c1", "one"), text("go on")]),
    )  # fmt: skip
    assert found[4:] == [
        output("c1", "one"), output("c2", "two"), output("c3", "(no result was recorded for this call)"),
        said("user", "Result of tool call cX:\nlost"), said("user", "go on"),
    ]  # fmt: skip
    assert reported == ["added:tool_result:c3", "degraded:tool_result:cX"]


def test_results_may_hold_pictures_and_say_that_they_failed() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    part = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
    found, _ = items(user("hi"), assistant(use()), user([result(content=[text("see"), picture])]))
    assert found[-1] == output(said=[{"type": "input_text", "text": "see"}, part])
    assert items(user("hi"), assistant(use()), user([result(content="no", is_error=True)]))[0][-1] == output(
        said="Error: no"
    )
    failed = items(user("hi"), assistant(use()), user([result(content=[picture], is_error=True)]))[0][-1]
    assert failed["output"] == [{"type": "input_text", "text": "Error"}, part]


def thinking(words: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


def test_reasoning_goes_back_before_its_call_and_only_where_it_came_from() -> None:
    ours, foreign = wrap("oe", ORIGIN, v="E", id="rs_1"), wrap("oe", "elsewhere", v="E", id="rs_1")
    found, reported = items(
        user("hi"),
        assistant(thinking("hm", ours), thinking("x", "real"), thinking("y", foreign), use()),
        user([result()]),
    )
    reasoning = {
        "type": "reasoning", "id": "rs_1", "encrypted_content": "E",
        "summary": [{"type": "summary_text", "text": "hm"}],
    }  # fmt: skip
    assert found[1:3] == [reasoning, call()]
    assert reported == []
    assert items(user("hi"), assistant(text("a"), thinking("hm", ours)), user("go"))[0] == [
        said("user", "hi"), said("assistant", "a"), said("user", "go"),
    ]  # fmt: skip


def test_documents_and_pictures_travel_as_the_options_say() -> None:
    pdf = {
        "type": "document",
        "title": "a.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
    }
    address = {"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}}
    (sent,), reported = items(user([pdf, address]), documents="file")
    assert sent["content"] == [
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
        {"type": "input_file", "file_url": "https://e.com/a.pdf"},
    ]
    assert reported == []
    assert items(user([pdf, address]))[1] == ["dropped:messages[0].content[0]", "dropped:messages[0].content[1]"]
    inline = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}
    assert "words" in items(user([inline]))[0][0]["content"][0]["text"]
    photo = {"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}}
    assert items(user([photo]), vision=False)[1] == ["dropped:messages[0].content[0]"]


def test_cache_marks_travel_where_they_are_taken() -> None:
    marked = {**text("long"), "cache_control": {"type": "ephemeral"}}
    (sent,), _ = items(user([marked]), cache="openai_breakpoint")
    assert sent["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert "prompt_cache_breakpoint" not in items(user([marked]))[0][0]["content"][0]


def test_what_a_server_tool_did_is_told_as_a_call_with_its_output() -> None:
    found, reported = items(
        user("hi"),
        assistant(
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"q": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [
                {"type": "web_search_result", "title": "T", "url": "https://e.com"}]},
            text("found"),
        ),
    )  # fmt: skip
    assert found[1]["name"] == "web_search"
    assert found[2:] == [output("s1", "T - https://e.com"), said("assistant", "found")]
    assert reported == ["degraded:messages[1].content[0]", "degraded:prefill"]


def test_a_body_asks_for_sealed_reasoning_and_that_nothing_is_kept() -> None:
    out, _, reported = encode(
        anthropic,
        {
            "messages": [user("hi")], "system": "Be brief", "stream": True, "max_tokens": 5, "stop_sequences": ["x"],
            "thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "temperature": 0.5,
        },
        efforts=["low", "high"],
    )  # fmt: skip
    assert out == {
        "model": "m", "input": [said("user", "hi")], "instructions": "Be brief", "stream": True,
        "max_output_tokens": 16,
        "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False,
        "temperature": 0.5,
    }  # fmt: skip
    assert sorted(reported) == ["clamped:max_tokens", "clamped:output_config.effort", "dropped:stop_sequences"]


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, {"effort": "low", "summary": "auto"}),
        ({"type": "adaptive"}, {"summary": "auto"}),
        ({"type": "adaptive", "display": "omitted"}, None),
        ({"type": "disabled"}, {"effort": "none"}),
        (None, None),
    ],
)
def test_a_summary_is_asked_for_when_thinking_is(thinking: Json | None, reasoning: Json | None) -> None:
    asked = {"thinking": thinking} if thinking else {}
    out, _, _ = encode(anthropic, {"messages": [user("hi")], **asked}, efforts=["none", "low", "high"])
    assert out.get("reasoning") == reasoning


def test_tools_are_flat_and_say_whether_they_are_strict() -> None:
    strict = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    out, context, reported = encode(
        anthropic,
        {
            "messages": [user("hi")],
            "tools": [
                {"name": "a", "description": "A", "input_schema": strict, "strict": True},
                {"name": "b", "input_schema": {"type": "object"}, "strict": True},
                {"name": "n" * 70, "input_schema": {"type": "object"}},
                {"type": "bash_20250124", "name": "bash"},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            "tool_choice": {"type": "tool", "name": "a", "disable_parallel_tool_use": True},
        },
        strict_tools=True,
    )
    assert [(tool["type"], tool["name"][:4], tool["strict"]) for tool in out["tools"]] == [
        ("function", "a", True), ("function", "b", False), ("function", "nnnn", False), ("function", "bash", False),
    ]  # fmt: skip
    assert (out["tool_choice"], out["parallel_tool_calls"]) == ({"type": "function", "name": "a"}, False)
    assert list(context.tool_names.values()) == ["n" * 70]
    assert reported == ["dropped:tools[1].strict", "dropped:tools[4]"]


def test_tools_that_take_free_text_stay_what_they_are() -> None:
    custom = {
        "name": "patch", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}},
    }  # fmt: skip
    out, _, reported = encode(
        chat,
        {
            "messages": [
                user("hi"),
                {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "x"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            ],
            "tools": [{"type": "custom", "custom": custom}],
            "tool_choice": {"type": "custom", "custom": {"name": "patch"}},
        },
    )  # fmt: skip
    assert out["tools"] == [
        {"type": "custom", "name": "patch",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
    ]  # fmt: skip
    assert out["tool_choice"] == {"type": "custom", "name": "patch"}
    assert out["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    ]
    assert reported == []


def test_structured_output_is_flat_and_keeps_its_name() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    named = {"name": "answer", "schema": schema, "strict": True}
    out, _, _ = encode(
        chat,
        {
            "messages": [user("hi")],
            "response_format": {"type": "json_schema", "json_schema": named},
            "verbosity": "low",
        },
    )
    assert out["text"] == {"verbosity": "low", "format": {"type": "json_schema", **named}}


def test_a_call_that_says_nothing_is_given_a_word() -> None:
    out, _, reported = encode(chat, {"messages": [{"role": "system", "content": "S"}]})
    assert (out["instructions"], out["input"], reported) == ("S", [said("user", "Continue.")], ["added:messages[0]"])


HISTORY = st.lists(
    st.one_of(
        st.builds(lambda words: user(words), st.text(max_size=5)),
        st.builds(
            lambda ids: user([result(i) for i in ids] + [text("t")]), st.lists(st.sampled_from("abc"), max_size=4)
        ),
        st.builds(
            lambda ids, words: assistant(
                thinking("hm", wrap("oe", ORIGIN, v="E", id="rs")), text(words), *map(use, ids)
            ),
            st.lists(st.sampled_from("abc"), max_size=3, unique=True),
            st.text(max_size=3),
        ),
        st.builds(lambda words: {"role": "system", "content": words}, st.text(min_size=1, max_size=5)),
    ),
    min_size=1,
    max_size=8,
)


@given(HISTORY)
def test_any_history_keeps_the_rules_of_the_api(messages: list[Json]) -> None:
    found, _ = items(*messages)
    open_: list[str] = []
    for index, item in enumerate(found):
        if item["type"] == "function_call":
            open_.append(item["call_id"])
        elif item["type"] == "function_call_output":
            open_.remove(item["call_id"])
        elif item["type"] == "reasoning":
            assert found[index + 1]["type"] in ("reasoning", "message", "function_call")
            assert found[index + 1].get("role", "assistant") == "assistant"
        else:
            assert item["role"] == "assistant" or not open_
    assert not open_
