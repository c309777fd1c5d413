"""What a chat client's body says, in canonical words."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.config.options import Options
from portbroker.conversation import Conversation, Json, Report
from portbroker.dialects.anthropic_messages.encode_request import encode_request
from portbroker.dialects.openai_chat.decode_request import decode_request
from portbroker.errors import CallError
from portbroker.fieldmap.params import dialect_params


def read(*messages: Json, **rest: Any) -> tuple[Conversation, list[str]]:
    report = Report()
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **rest}
    return decode_request(body, report), [str(adaptation) for adaptation in report]


def blocks(conversation: Conversation) -> list[Json]:
    return [block.data for turn in conversation.turns for block in turn.blocks]


def part(value: Json) -> Json:
    conversation, report = read({"role": "user", "content": [value]})
    assert report == []
    (block,) = blocks(conversation)
    return block


def test_each_scalar_takes_the_canonical_name_where_there_is_one() -> None:
    conversation, report = read(
        max_tokens=5, stop="x", temperature=0, top_p=1, user="u", service_tier="default", reasoning_effort="low", seed=7
    )
    params = {key: value for key, value in conversation.params.items() if not key.startswith("_")}
    assert params == {
        "max_tokens": 5, "stop_sequences": ["x"], "temperature": 0, "top_p": 1, "metadata": {"user_id": "u"},
        "service_tier": "standard_only", "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"},
        "seed": 7,
    }  # fmt: skip
    assert report == []


def test_what_the_body_says_of_the_answer_is_noted() -> None:
    conversation, _ = read(
        stream=True,
        stream_options={"include_usage": True},
        stop=["a", "b"],
        tools=[{"type": "custom", "custom": {"name": "patch"}}],
    )
    answer = conversation.answer
    assert conversation.stream
    assert (answer.request_model, answer.include_usage, answer.thinking_requested) == ("m", True, True)
    assert answer.stop_sequences == ("a", "b")
    assert answer.custom_tools == {"patch"}


def test_null_is_the_same_as_absent() -> None:
    nothing = dict.fromkeys(
        ("max_tokens", "temperature", "stop", "tools", "tool_choice", "stream", "user", "seed", "n")
    )
    assert read(**nothing)[0] == read()[0]


def test_the_safety_identifier_wins_over_the_user() -> None:
    assert read(user="u", safety_identifier="s")[0].params["metadata"] == {"user_id": "s"}


def test_metadata_of_a_chat_client_is_not_taken_for_anthropics() -> None:
    assert "metadata" not in read(metadata={"user_id": "chat"})[0].params


@pytest.mark.parametrize("key", ["stop_sequences", "output_config", "_names"])
def test_a_key_that_would_pass_for_a_canonical_one_is_reported(key: str) -> None:
    conversation, report = read(**{key: 5})
    assert report == [f"dropped:{key}"]
    assert conversation.params.get(key) != 5


def test_no_effort_means_no_thinking() -> None:
    assert read(reasoning_effort="none")[0].params["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("wanted", "form"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}},
            {"type": "json_schema", "schema": {"type": "object"}, "_name": "n", "_strict": True},
        ),
    ],
)
def test_the_form_of_the_answer(wanted: Json, form: Json | None) -> None:
    assert read(response_format=wanted)[0].params.get("output_config") == (form and {"format": form})


# Messages


def test_only_the_leading_system_messages_are_the_system_prompt() -> None:
    conversation, _ = read(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
        {"role": "developer", "content": "d"},
    )
    assert [(block.data["text"], block.path) for block in conversation.system] == [
        ("a", "messages[0].content"),
        ("b", "messages[1].content[0]"),
    ]
    assert [(turn.role, turn.path) for turn in conversation.turns] == [
        ("user", "messages[2]"),
        ("system", "messages[3]"),
    ]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://e.com/a.png", {"type": "url", "url": "https://e.com/a.png"}),
        ("data:image/png;base64,AA==", {"type": "base64", "media_type": "image/png", "data": "AA=="}),
        ("DATA:image/JPG;base64,AA==", {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}),
        ("data:image/svg+xml,%3Csvg/%3E", {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}),
    ],
)
def test_pictures(url: str, source: Json) -> None:
    assert part({"type": "image_url", "image_url": {"url": url}}) == {"type": "image", "source": source}
    assert part({"type": "image_url", "image_url": url}) == {"type": "image", "source": source}


@pytest.mark.parametrize(
    ("file", "block"),
    [
        (
            {"filename": "n.txt", "file_data": "data:text/markdown;base64,aMOp"},
            {
                "type": "document",
                "title": "n.txt",
                "source": {"type": "text", "media_type": "text/plain", "data": "hé"},
            },
        ),
        (
            {"file_data": "data:image/png;base64,AA=="},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ),
        ({"file_id": "file-1"}, {"type": "document", "source": {"type": "file", "file_id": "file-1"}}),
    ],
)
def test_files(file: Json, block: Json) -> None:
    assert part({"type": "file", "file": file}) == block


@pytest.mark.parametrize("key", ["cache_control", "prompt_cache_breakpoint"])
def test_a_cache_mark_of_either_kind_is_kept(key: str) -> None:
    mark = {"type": "ephemeral"} if key == "cache_control" else {"mode": "explicit"}
    assert part({"type": "text", "text": "x", key: mark})["cache_control"] == {"type": "ephemeral"}


def test_a_part_of_unknown_type_is_reported_and_the_rest_kept() -> None:
    conversation, report = read({"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "x"}]})
    assert report == ["dropped:messages[0].content[0]"]
    assert [block.path for turn in conversation.turns for block in turn.blocks] == ["messages[0].content[1]"]


def test_a_refusal_is_what_the_assistant_said() -> None:
    conversation, _ = read({"role": "assistant", "content": None, "refusal": "No."})
    assert blocks(conversation)[0]["text"] == "No."


def test_a_call_of_a_tool_that_takes_text_holds_the_text() -> None:
    call = {"type": "custom", "id": "c", "custom": {"name": "patch", "input": "*** Begin"}}
    conversation, _ = read({"role": "assistant", "content": None, "tool_calls": [call]})
    (block,) = blocks(conversation)
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "patch", {"input": "*** Begin"})


def test_results_of_functions_answer_the_oldest_open_call_of_that_name() -> None:
    conversation, _ = read(
        {"role": "assistant", "function_call": {"name": "a", "arguments": ""}},
        {"role": "assistant", "function_call": {"name": "a", "arguments": "{}"}},
        {"role": "function", "name": "a", "content": "1"},
        {"role": "function", "name": "a", "content": "2"},
        {"role": "function", "name": "a", "content": "3"},
    )
    ids = [block.get("id") or block["tool_use_id"] for block in blocks(conversation)]
    assert ids == ["call_fn_0", "call_fn_1", "call_fn_0", "call_fn_1", "call_fn_4"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (None, {}),
        ("", {}),
        ([], {}),
        ([{"type": "text", "text": "a"}], {"content": "a"}),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ),
        (
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
            {"content": "a", "cache_control": {"type": "ephemeral"}},
        ),
    ],
)
def test_what_a_tool_said(content: object, kept: Json) -> None:
    conversation, _ = read({"role": "tool", "tool_call_id": "c", "content": content})
    assert blocks(conversation) == [{"type": "tool_result", "tool_use_id": "c", **kept}]


SIGNED = {"type": "reasoning.text", "format": "anthropic-claude-v1"}


@pytest.mark.parametrize(
    "details",
    [
        [{**SIGNED, "text": "ab", "signature": "S", "index": 0}],
        [{**SIGNED, "text": "ab", "signature": "S", "format": "anthropic-claude-v1anthropic-claude-v1"}],
        [
            {**SIGNED, "text": "a", "index": 0},
            {**SIGNED, "text": "b", "index": 0},
            {**SIGNED, "signature": "S", "index": 0},
        ],
    ],
)
def test_signed_reasoning_becomes_one_thinking_block_however_it_was_gathered(details: list[Json]) -> None:
    conversation, _ = read({"role": "assistant", "content": "y", "reasoning_details": details})
    assert blocks(conversation)[0] == {"type": "thinking", "thinking": "ab", "signature": "S"}


def test_reasoning_blocks_stay_apart_and_in_order() -> None:
    details = [
        {**SIGNED, "text": "a", "signature": "S", "index": 0},
        {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": "D", "index": 1},
        {**SIGNED, "text": "b", "signature": "T", "index": 2},
        {**SIGNED, "text": "unsigned", "index": 3},
    ]
    conversation, _ = read({"role": "assistant", "content": None, "reasoning_details": details})
    assert blocks(conversation) == [
        {"type": "thinking", "thinking": "a", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "thinking", "thinking": "b", "signature": "T"},
    ]


# Tools


def test_a_grammar_stands_in_the_description() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    conversation, _ = read(
        tools=[{"type": "custom", "custom": {"name": "p", "description": "Patches.", "format": grammar}}]
    )
    text = 'The "input" string must match this lark grammar:\nstart: x'
    assert conversation.tools[0].data["description"] == f"Patches.\n\n{text}"
    assert conversation.tools[0].data["input_schema"]["required"] == ["input"]


def test_a_tool_of_unknown_type_is_reported() -> None:
    conversation, report = read(tools=[{"type": "web_search"}, {"type": "function", "function": {"name": "a"}}])
    assert report == ["dropped:tools[0]"]
    assert [(tool.data["name"], tool.path) for tool in conversation.tools] == [("a", "tools[1]")]


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_tool_without_parameters_takes_an_object(parameters: object) -> None:
    conversation, _ = read(tools=[{"type": "function", "function": {"name": "a", "parameters": parameters}}])
    assert conversation.tools[0].data == {"name": "a", "input_schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": {"type": "custom", "custom": {"name": "a"}}}, {"type": "tool", "name": "a"}),
        ({"function_call": {"name": "a"}}, {"type": "tool", "name": "a"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_choices(body: Json, choice: Json | None) -> None:
    assert read(**body)[0].tool_choice == choice


# What cannot be read


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "AAAA"}}]}]},
            "messages[0].content[0].file.file_data",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/a;base64,é"}}]}
                ]
            },
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": 5, "content": ""}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "tool", "tool_call_id": "a", "content": {}}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "tool_calls": {"a": 1}}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": ""}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"n": "2"}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"user": 5}, "user"),
        ({"service_tier": {}}, "service_tier"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools[0].function.name"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools.tools"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_a_malformed_body_is_refused_with_its_place(body: Json, param: str) -> None:
    with pytest.raises(CallError) as refusal:
        decode_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}, Report())
    assert (refusal.value.status, refusal.value.param) == (400, param)
    assert param in str(refusal.value)


_ROLES = ("user", "assistant", "tool", "function", "system")
_INNER = (
    "role", "content", "type", "text", "tool_calls", "function", "name", "arguments", "id", "image_url", "url",
    "custom", "input", "refusal", "format", "signature", "file", "file_data", "cache_control", "auto", "tools",
    "json_schema", "schema", "data:,", "data:text/x;base64,é", "reasoning.text", "anthropic-claude-v1",
)  # fmt: skip
_MESSAGE = (
    "content", "tool_calls", "function_call", "name", "tool_call_id", "reasoning_details", "reasoning_content",
)  # fmt: skip
_BODY = (
    "tools", "functions", "tool_choice", "function_call", "stop", "response_format", "metadata", "stream_options", "n",
)  # fmt: skip
_noise = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(_INNER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_INNER), inner, max_size=4),
    max_leaves=10,
)
_messages = st.fixed_dictionaries({"role": st.sampled_from(_ROLES)}, optional=dict.fromkeys(_MESSAGE, _noise))
_bodies = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(_messages, min_size=1, max_size=3)},
    optional=dict.fromkeys(_BODY, _noise),
)


@settings(deadline=None)
@given(_bodies)
def test_noise_is_refused_with_its_place_or_can_be_written_for_anthropic(body: Json) -> None:
    options, report = Options(), Report()
    try:
        conversation = decode_request(body, report)
    except CallError as refusal:
        named = refusal.param
    else:
        written, _ = encode_request(conversation, options, dialect_params("anthropic.messages", options), report)
        named = orjson.loads(orjson.dumps(written))["model"]
    assert named
