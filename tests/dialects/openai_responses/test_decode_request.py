"""A Responses client's body as a conversation: every kind of item and tool, and what is refused."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.conversation import Conversation, Json, Report
from portbroker.dialects.envelope import PLAIN, wrap
from portbroker.dialects.openai_responses.decode_request import decode_request
from portbroker.dialects.openai_responses.stored import expand
from portbroker.errors import CallError


def decode(**body: Any) -> tuple[Conversation, list[str]]:
    report = Report()
    conversation = decode_request({"model": "m", "input": "hi", **body}, report)
    return conversation, list(map(str, report))


def blocks(*items: Json) -> tuple[list[tuple[str, Json]], list[str]]:
    """Role and data of each block that the items make, without what only the gateway knows."""
    conversation, reported = decode(input=list(items))
    found = [
        (str(turn.role), {k: v for k, v in block.data.items() if k[:1] != "_"})
        for turn in conversation.turns
        for block in turn.blocks
    ]
    return found, reported


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def test_a_string_is_one_message_and_instructions_are_the_system_prompt() -> None:
    conversation, _ = decode(instructions="Be brief")
    assert [block.data for block in conversation.system] == [text("Be brief")]
    assert [(turn.role, turn.blocks[0].data, turn.blocks[0].path) for turn in conversation.turns] == [
        ("user", text("hi"), "input")
    ]


def test_every_kind_of_item_becomes_its_turn() -> None:
    found, reported = blocks(
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "s"}]},
        {"role": "user", "content": "u"},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "run", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
        {"type": "function_call_output", "call_id": "c3", "output": ""},
    )  # fmt: skip
    assert reported == []
    assert found == [
        ("system", text("d")),
        ("system", text("s")),
        ("user", text("u")),
        ("assistant", text("a")),
        ("assistant", text("no")),
        ("assistant", {"type": "tool_use", "id": "c1", "name": "run", "input": {"x": 1}}),
        ("user", {"type": "tool_result", "tool_use_id": "c1", "content": "ok"}),
        ("assistant", {"type": "tool_use", "id": "c2", "name": "patch", "input": {"input": "*** Begin"}}),
        ("user", {"type": "tool_result", "tool_use_id": "c2", "content": "done"}),
        ("user", {"type": "tool_result", "tool_use_id": "c3"}),
    ]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws"}, {"type": "item_reference", "id": "x"}, {"id": "x"},
        {"type": "compaction", "encrypted_content": "x"}, {"type": "mcp_call"}, {"type": "of_tomorrow", "role": "user"},
        {"type": "tool_search_call", "call_id": "c"}, {"role": "critic", "content": "x"}, {"type": 7},
        {"type": "local_shell_call", "call_id": "c"}, {"type": "apply_patch_call_output", "call_id": "c"},
    ],
)  # fmt: skip
def test_an_item_that_means_nothing_elsewhere_is_reported_and_never_refused(item: Json) -> None:
    found, reported = blocks({"role": "user", "content": "hi"}, item)
    assert found == [("user", text("hi"))]
    assert reported == ["dropped:input[1]"]


def test_pictures_files_and_sound_are_blocks() -> None:
    parts: list[Json] = [
        {"type": "input_image", "detail": "high", "image_url": "https://e.com/a.png"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "input_file", "file_url": "https://e.com/a.pdf"},
        {"type": "input_file", "file_id": "file_2"},
        {"type": "computer_screenshot"},
    ]
    found, reported = blocks({"role": "user", "content": parts})
    assert [data.get("source", {}).get("type") for _, data in found] == [
        "url",
        "base64",
        "file",
        "base64",
        "url",
        "file",
    ]
    assert reported == ["dropped:input[0].content[6]"]
    conversation, _ = decode(input=[{"role": "user", "content": parts[:2]}])
    assert [block.data.get("_detail") for block in conversation.turns[0].blocks] == ["high", None]


@pytest.mark.parametrize(
    ("item", "block"),
    [
        ({"summary": [{"type": "summary_text", "text": "hm"}]}, ("hm", PLAIN)),
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}, ("hm", PLAIN)),
        ({"summary": [{"text": "hm"}], "encrypted_content": wrap("an", s="S")}, ("hm", "S")),
        ({"summary": [], "encrypted_content": wrap("an", s="S", t="hid")}, ("hid", "S")),
        ({"summary": [], "encrypted_content": wrap("rc", t="hid")}, ("hid", PLAIN)),
        ({"summary": [], "encrypted_content": wrap("gts", "P/m", m={})}, ("", wrap("gts", "P/m", m={}))),
        ({"summary": [{"text": "hm"}], "encrypted_content": "gAAAA-of-openai"}, ("hm", PLAIN)),
        ({"summary": [], "encrypted_content": "gAAAA-of-openai"}, None),
        ({"summary": [], "encrypted_content": wrap("an")}, None),
        ({"summary": 3}, None),
    ],
)
def test_reasoning_comes_back_as_the_thinking_that_it_was(item: Json, block: tuple[str, str] | None) -> None:
    found, reported = blocks({"type": "reasoning", "id": "rs_1", **item})
    expected = [("assistant", {"type": "thinking", "thinking": block[0], "signature": block[1]})] if block else []
    assert (found, reported) == (expected, [])


def test_a_redacted_thought_comes_back() -> None:
    found, _ = blocks({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": wrap("an", r="R")})
    assert found == [("assistant", {"type": "redacted_thinking", "data": "R"})]


GRAMMAR: Json = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}


def test_tools_are_flat_wherever_they_are_listed() -> None:
    conversation, reported = decode(
        tools=[
            {"type": "function", "name": "run", "parameters": {"type": "object"}, "strict": True},
            {"type": "custom", "name": "patch", "description": "Patch", "format": GRAMMAR},
            {"type": "namespace", "name": "mcp__fs", "description": "", "tools": [
                {"type": "function", "name": "read", "parameters": None}, {"type": "custom", "name": "write"},
                {"type": "local_shell"}]},
            {"type": "namespace", "name": "ends__", "tools": [{"type": "function", "name": "well"}]},
            {"type": "web_search"},
            {"type": "function", "name": "coded", "allowed_callers": ["programmatic"]},
        ],
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "more"}]},
            {"type": "tool_search_output", "call_id": "c", "tools": [{"type": "function", "name": "found"}]},
            {"type": "function_call", "call_id": "c", "name": "read", "namespace": "mcp__fs", "arguments": "{}"},
        ],
    )  # fmt: skip
    names = [tool.data["name"] for tool in conversation.tools]
    assert names == ["run", "patch", "mcp__fs__read", "mcp__fs__write", "ends__well", "more", "found"]
    assert [tool.path for tool in conversation.tools][2:4] == ["tools[2].tools[0]", "tools[2].tools[1]"]
    assert conversation.tools[1].data["description"].endswith("must match this lark grammar:\nstart: /.+/")
    assert conversation.tools[0].data["strict"] is True
    assert reported == ["dropped:tools[2].tools[2]", "dropped:tools[4]", "dropped:tools[5]"]
    assert conversation.answer.tool_map == {
        "patch": {"name": "patch", "kind": "custom"},
        "mcp__fs__read": {"namespace": "mcp__fs", "name": "read", "kind": "function"},
        "mcp__fs__write": {"namespace": "mcp__fs", "name": "write", "kind": "custom"},
        "ends__well": {"namespace": "ends__", "name": "well", "kind": "function"},
    }
    assert conversation.answer.custom_tools == {"patch", "mcp__fs__write"}
    assert conversation.turns[-1].blocks[0].data["name"] == "mcp__fs__read"


def test_flat_names_are_short_and_never_shared() -> None:
    long, function = "n" * 60, "function"
    tools = [
        {"type": "namespace", "name": "a", "tools": [{"type": function, "name": "b__c"}]},
        {"type": "namespace", "name": "a__b", "tools": [{"type": function, "name": "c"}]},
        {"type": function, "name": "a__b__c"},
        {"type": "namespace", "name": long, "tools": [{"type": function, "name": long}]},
    ]
    conversation, _ = decode(tools=tools)
    names = [tool.data["name"] for tool in conversation.tools]
    assert len(set(names)) == 4
    assert all(len(name) <= 64 for name in names)
    assert names[0] == "a__b__c"
    assert {(t.get("namespace"), t["name"]) for t in conversation.answer.tool_map.values()} == {
        ("a", "b__c"), ("a__b", "c"), (long, long), (None, "a__b__c"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "choice", "reported"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}, []),
        ({"tool_choice": "required"}, {"type": "any"}, []),
        ({"tool_choice": "none"}, {"type": "none"}, []),
        ({"tool_choice": {"type": "function", "name": "f"}}, {"type": "tool", "name": "f"}, []),
        ({"tool_choice": {"type": "custom", "name": "f"}}, {"type": "tool", "name": "f"}, []),
        ({"tool_choice": {"type": "file_search"}}, {"type": "auto"}, ["changed:tool_choice"]),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}, []),
        ({"parallel_tool_calls": True}, None, []),
        ({}, None, []),
    ],
)
def test_the_choice_of_a_tool(given: Json, choice: Json | None, reported: list[str]) -> None:
    conversation, adaptations = decode(tools=[{"type": "function", "name": "f"}], **given)
    assert (conversation.tool_choice, adaptations) == (choice, reported)


def test_allowed_tools_are_all_that_is_offered() -> None:
    tools = [{"type": "function", "name": name} for name in "abc"]
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "b"}, {"type": "mcp"}],
    }
    conversation, _ = decode(tools=tools, tool_choice=allowed)
    assert [tool.data["name"] for tool in conversation.tools] == ["b"]
    assert conversation.tool_choice == {"type": "any"}


def test_scalars_have_their_canonical_names() -> None:
    schema = {"type": "object"}
    conversation, reported = decode(
        max_output_tokens=5, temperature=0.5, top_p=0.9, user="u", service_tier="flex", metadata={"a": "b"},
        prompt_cache_key="k", reasoning={"effort": "high", "summary": "auto"}, top_logprobs=2, max_tokens=7,
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}},
        store=True, truncation="auto", stream=True, seed=3,
            include=["reasoning.encrypted_content", "message.output_text.logprobs"],
    )  # fmt: skip
    params = {key: value for key, value in conversation.params.items() if key[:1] != "_"}
    assert params == {
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "metadata": {"user_id": "u"}, "prompt_cache_key": "k",
        "thinking": {"type": "adaptive", "display": "summarized"}, "verbosity": "low", "seed": 3,
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": schema, "_name": "n",
                                                       "_strict": True}},
    }  # fmt: skip
    assert conversation.stream
    assert sorted(reported) == ["dropped:include[1]", "dropped:max_tokens", "dropped:top_logprobs"]
    assert conversation.answer.encrypted
    assert decode(reasoning={"effort": "none"})[0].params["thinking"] == {"type": "disabled"}


def test_thinking_is_wanted_by_who_is_shown_it_or_carries_it() -> None:
    def wanted(**body: Any) -> tuple[bool, bool]:
        answer = decode(**body)[0].answer
        return answer.thinking_requested, answer.thinking_hidden

    assert wanted() == (False, True)
    assert wanted(reasoning={"summary": "none"}) == (False, True)
    assert wanted(reasoning={"summary": "auto"}) == (True, False)
    assert wanted(include=["reasoning.encrypted_content"]) == (True, True)


def test_the_answer_repeats_what_was_asked() -> None:
    tools = [{"type": "namespace", "name": "n", "tools": []}]
    echo = decode(tools=tools, instructions="I", reasoning={"effort": "low"}, tool_choice="none", metadata={})[
        0
    ].answer.echo
    assert echo == {
        "tools": tools, "instructions": "I", "reasoning": {"effort": "low", "summary": None}, "tool_choice": "none",
        "metadata": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "conversation_not_found"),
        ({"background": True}, "background", None),
        ({"prompt": {"id": "p"}}, "prompt", None),
    ],
)
def test_what_only_a_store_could_answer_is_refused(given: Json, param: str, code: str | None) -> None:
    with pytest.raises(CallError) as caught:
        decode(**given)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert "resp_1" in str(caught.value) or param != "previous_response_id"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].file_id"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "call_id": 3, "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 3}]}, "input[0].output"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f"}]}, "input[0].input"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace"}]}, "tools[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"include": "all"}, "include"),
        ({"instructions": 3}, "instructions"),
    ],
)
def test_what_is_malformed_is_refused_at_its_place(given: Json, param: str) -> None:
    with pytest.raises(CallError) as caught:
        decode(**given)
    assert (caught.value.status, caught.value.param) == (400, param)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "message", "user", "function", "custom"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "role", "content", "text", "name", "tools", "call_id", "output", "namespace", "input",
                         "arguments", "summary", "encrypted_content", "format", "image_url"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
KINDS = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "reasoning",
    "additional_tools",
    "other",
]


@given(
    st.lists(st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(KINDS), st.dictionaries(
        st.sampled_from(["role", "content", "name", "tools", "call_id", "output", "input", "arguments", "summary",
                         "encrypted_content"]), VALUES, max_size=5)), max_size=4),
    st.dictionaries(st.sampled_from(["tools", "tool_choice", "text", "reasoning", "include", "user"]), VALUES),
)  # fmt: skip
def test_any_body_is_read_or_refused(items: list[Json], rest: Json) -> None:
    with contextlib.suppress(CallError):
        decode_request({"model": "m", "input": items, **rest}, Report())


def test_the_first_tool_of_a_namespace_says_what_the_namespace_is() -> None:
    read = {"type": "function", "name": "read", "description": "Reads a file."}
    for first, told in ((read, "Reads a file.\n\n"), ({"type": "function", "name": "read"}, "")):
        space = {
            "type": "namespace",
            "name": "fs",
            "description": "Files of the user.",
            "tools": [first, {**read, "name": "b"}],
        }
        tools = [tool.data for tool in decode(tools=[space])[0].tools]
        assert tools[0]["description"] == told + "fs (every tool whose name begins so): Files of the user."
        assert tools[1]["description"] == "Reads a file."


def test_an_earlier_conversation_goes_before_what_is_new() -> None:
    earlier = [{"type": "message", "role": "user", "content": "a"}, {"type": "function_call", "call_id": "c"}]
    body = {"model": "m", "previous_response_id": "resp_1", "input": "b", "instructions": "I"}
    assert expand(body, earlier) == {
        "model": "m", "instructions": "I", "input": [*earlier, {"type": "message", "role": "user", "content": "b"}],
    }  # fmt: skip
    assert expand({**body, "input": earlier[:1]}, earlier)["input"] == [*earlier, earlier[0]]
    assert "previous_response_id" in body
