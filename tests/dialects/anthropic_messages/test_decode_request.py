import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from portbroker.conversation import Conversation, Report
from portbroker.dialects.anthropic_messages.decode_request import decode_request
from portbroker.errors import CallError
from tests.dialects.anthropic_messages.bodies import change, spoiled

BODY: dict[str, Any] = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


def decode(report: Report | None = None, **changes: Any) -> Conversation:
    return decode_request({**BODY, **changes}, Report() if report is None else report)


def user(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


def test_blocks_are_the_clients_own_and_know_where_they_stood() -> None:
    text = {"type": "text", "text": "a", "citations": []}
    conversation = decode(messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": [text]}])
    first, second = conversation.turns
    assert first.blocks[0].path == "messages[0].content"
    assert second.blocks[0].path == "messages[1].content[0]"
    assert second.blocks[0].data is text


def test_what_is_not_structure_is_a_parameter() -> None:
    conversation = decode(stream=True, temperature=0, top_k=None, newer_than_us={"x": 1}, tools=[], system="s")
    assert conversation.params == {"max_tokens": 10, "temperature": 0, "newer_than_us": {"x": 1}}
    assert conversation.stream
    assert conversation.system[0].path == "system"


@pytest.mark.parametrize(
    ("thinking", "requested", "omitted"),
    [
        (None, False, False),
        ({"type": "disabled"}, False, False),
        ({"type": "enabled", "budget_tokens": 1024}, True, False),
        ({"type": "adaptive", "display": "omitted"}, True, True),
        ({"type": "between_tools", "display": "summarized"}, True, False),
    ],
)
def test_the_answer_shows_thinking_only_where_it_was_asked_for(thinking: Any, requested: bool, omitted: bool) -> None:
    answer = decode(thinking=thinking, stop_sequences=["a"]).answer
    assert (answer.thinking_requested, answer.thinking_omitted) == (requested, omitted)
    assert (answer.request_model, answer.stop_sequences) == ("claude-x", ("a",))


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_thread_is_refused_with_the_code_that_makes_sdks_go_on_without(thread: Any) -> None:
    with pytest.raises(CallError) as raised:
        decode(thread=thread)
    assert (raised.value.code, raised.value.param) == ("thread_unsupported_request", "thread")


def test_a_compaction_request_is_refused() -> None:
    with pytest.raises(CallError) as raised:
        decode(compaction={"type": "summarize"})
    assert raised.value.param == "compaction"


@pytest.mark.parametrize(
    ("system", "left"),
    [
        ("x-anthropic-billing-header: cch=1;\nYou are X.", ["You are X."]),
        ("x-anthropic-billing-header: cch=1;", []),
        ("You are X.\nx-anthropic-billing-header: no", ["You are X.\nx-anthropic-billing-header: no"]),
        ([{"type": "text", "text": " "}, {"type": "text", "text": "x-anthropic-billing-header: 1\n \n"}], [" "]),
        (
            [{"type": "text", "text": "You"}, {"type": "text", "text": "x-anthropic-billing-header: 1"}],
            ["You", "x-anthropic-billing-header: 1"],
        ),
    ],
)
def test_the_billing_line_goes_only_where_it_leads(system: Any, left: list[str]) -> None:
    assert [block.data["text"] for block in decode(system=system).system] == left


def test_a_cleared_system_message_keeps_the_effort_it_set() -> None:
    system = {"role": "system", "content": "t", "clear_at": "next_user_message", "output_config": {"effort": "low"}}
    messages = [{"role": "user", "content": "a"}, system, {"role": "user", "content": "b"}]
    turns = decode(messages=messages).turns
    assert [(turn.role, len(turn.blocks)) for turn in turns] == [("user", 1), ("system", 0), ("user", 1)]
    assert turns[1].data["output_config"] == {"effort": "low"}


def test_a_system_message_is_not_cleared_before_the_user_speaks_again() -> None:
    system = {"role": "system", "content": "t", "clear_at": "next_user_message"}
    messages = [{"role": "user", "content": "a"}, system, {"role": "assistant", "content": "b"}]
    assert [turn.role for turn in decode(messages=messages).turns] == ["user", "system", "assistant"]


TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in "abc"]


def reference(name: str) -> dict[str, str]:
    return {"type": "tool_reference", "name": name}


def names_after(*changes: Any, report: Report | None = None) -> list[str]:
    messages = [*BODY["messages"], {"role": "system", "content": list(changes)}]
    conversation = decode(report, tools=TOOLS, messages=messages)
    assert [turn.role for turn in conversation.turns] == ["user"]
    return [tool.data["name"] for tool in conversation.tools]


def test_the_later_change_of_a_tool_wins() -> None:
    assert names_after(change("removal", reference("b"))) == ["a", "c"]
    assert names_after(change("removal", reference("b")), change("addition", reference("b"))) == ["a", "b", "c"]


def test_a_tool_may_be_defined_in_the_conversation() -> None:
    definition = {"type": "tool_definition", "definition": {"name": "d", "input_schema": {}}}
    assert names_after(change("addition", definition)) == ["a", "b", "c", "d"]
    assert names_after(change("addition", definition), change("removal", reference("d"))) == ["a", "b", "c"]


def test_a_change_of_an_unknown_tool_is_reported() -> None:
    report = Report()
    mcp = {"type": "mcp_toolset_reference", "mcp_server_name": "m"}
    assert names_after(change("removal", mcp), change("addition", reference("z")), report=report) == ["a", "b", "c"]
    assert [str(a) for a in report] == ["dropped:messages[1].content[0]", "dropped:messages[1].content[1]"]


def test_a_compaction_block_brings_its_tool_changes() -> None:
    block = {"type": "compaction", "content": "s", "tool_changes": [change("removal", reference("a")), None]}
    conversation = decode(tools=TOOLS, messages=[{"role": "user", "content": [block]}])
    assert [tool.data["name"] for tool in conversation.tools] == ["b", "c"]
    assert conversation.turns[0].blocks[0].data is block


RESULT = {"type": "tool_result", "tool_use_id": "t"}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": user("x")}, "messages[0].content[0]"),
        ({"messages": user({"type": ["text"]})}, "messages[0].content[0]"),
        ({"messages": user({"type": "text"})}, "messages[0].content[0].text"),
        ({"messages": user({"type": "text", "text": 1})}, "messages[0].content[0].text"),
        ({"messages": user({"type": "image"})}, "messages[0].content[0].source"),
        ({"messages": user({"type": "image", "source": {}})}, "messages[0].content[0].source.type"),
        (
            {"messages": user({"type": "image", "source": {"type": "base64", "data": "x"}})},
            "messages[0].content[0].source.media_type",
        ),
        (
            {"messages": user({"type": "document", "title": 1, "source": {"type": "url", "url": "u"}})},
            "messages[0].content[0].title",
        ),
        (
            {"messages": user({"type": "document", "source": {"type": "content", "content": [1]}})},
            "messages[0].content[0].source.content[0]",
        ),
        ({"messages": user({**RESULT, "tool_use_id": None})}, "messages[0].content[0].tool_use_id"),
        ({"messages": user({**RESULT, "content": {}})}, "messages[0].content[0].content"),
        ({"messages": user({**RESULT, "is_error": "no"})}, "messages[0].content[0].is_error"),
        ({"messages": user({**RESULT, "content": [{"type": "text"}]})}, "messages[0].content[0].content[0].text"),
        (
            {"messages": user({"type": "tool_use", "id": "t", "name": "n", "input": "{}"})},
            "messages[0].content[0].input",
        ),
        ({"messages": user({"type": "web_search_tool_result"})}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [{"role": "system", "content": "x", "output_config": {"effort": 1}}]},
            "messages[0].output_config.effort",
        ),
        (
            {"messages": [{"role": "system", "content": [change("addition", {"type": "tool_definition"})]}]},
            "messages[0].content[0].tool.definition",
        ),
        ({"system": 1}, "system"),
        ({"system": False}, "system"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": True}, "temperature"),
        ({"stream": "true"}, "stream"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": ["x", 1]}, "stop_sequences[1]"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"thinking": "on"}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": "1"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": {}}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"output_format": {"schema": {}}}, "output_format.type"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ],
)
def test_a_wrong_type_is_refused_at_its_place(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(CallError) as raised:
        decode(**changes)
    assert raised.value.param == param
    assert param in raised.value.message


def test_results_within_results_are_not_read_without_end() -> None:
    block: Any = {"type": "text", "text": "x"}
    for _ in range(1000):
        block = {**RESULT, "content": [block]}
    with pytest.raises(CallError):
        decode(messages=user(block))


def test_a_newer_kind_of_block_is_left_for_the_target_to_judge() -> None:
    block = {"type": "hologram", "text": 5, "source": None}
    assert decode(messages=user(block)).turns[0].blocks[0].data is block


@given(spoiled)
def test_a_body_with_one_thing_wrong_is_read_or_refused_but_never_breaks(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    with suppress(CallError):
        decode_request(body, Report())
    assert body == before
