import copy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Conversation, Json, Report
from portbroker.dialects import envelope
from portbroker.dialects.anthropic_messages.decode_request import decode_request
from portbroker.dialects.openai_chat.encode_request import encode_request
from portbroker.errors import CallError
from portbroker.fieldmap.params import dialect_params
from tests.dialects.anthropic_messages.bodies import spoiled

PLAIN = Options()


def read(**body: Any) -> Conversation:
    return decode_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}, Report())


def write(conversation: Conversation, options: Options = PLAIN) -> tuple[Json, AnswerContext, list[str]]:
    report = Report()
    body, answer = encode_request(conversation, options, dialect_params("openai.chat", options), report)
    return body, answer, [str(adaptation) for adaptation in report]


def encoded(options: Options = PLAIN, **body: Any) -> tuple[Json, list[str]]:
    written, _, adaptations = write(read(**body), options)
    return written, adaptations


def user(*blocks: Any) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def call(name: str, tool: str = "f", kind: str = "tool_use", **given: Any) -> Json:
    return {"type": kind, "id": name, "name": tool, "input": given}


def result(name: str, content: Any = "r", **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **more}


def document(source: Json, **more: Any) -> Json:
    return {"type": "document", "source": source, **more}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}


def messages(options: Options = PLAIN, *turns: Json) -> tuple[list[Json], list[str]]:
    body, adaptations = encoded(options, messages=list(turns))
    return body["messages"], adaptations


def contents(options: Options, *blocks: Json) -> tuple[Any, list[str]]:
    """The content of the one message that a user turn of these blocks becomes."""
    (message,), adaptations = messages(options, user(*blocks))
    assert message["role"] == "user"
    return message["content"], adaptations


# Properties

_ids = st.sampled_from(["a", "b", "c", "d"])
_words = st.sampled_from(["", " ", "x", "yes"])
_user_blocks = st.one_of(
    st.builds(text, _words),
    st.builds(result, _ids, st.sampled_from(["1", "", [IMAGE], [text("t")]]), is_error=st.booleans()),
    st.just(IMAGE),
)
_assistant_blocks = st.one_of(
    st.builds(text, _words),
    st.builds(call, _ids, kind=st.sampled_from(["tool_use", "server_tool_use"])),
    st.just({"type": "thinking", "thinking": "hm", "signature": envelope.PLAIN}),
    st.builds(lambda name: {"type": "web_search_tool_result", "tool_use_id": name, "content": []}, _ids),
)
_turns = st.one_of(
    st.lists(_user_blocks, max_size=4).map(lambda blocks: user(*blocks)),
    st.lists(_assistant_blocks, max_size=4).map(lambda blocks: assistant(*blocks)),
    st.builds(lambda words: {"role": "system", "content": words}, _words),
)
histories = st.lists(_turns, min_size=1, max_size=8)


def _values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """All words that an option may be, or both truth values; of texts, numbers and lists only the default."""
    words = [] if "tuple" in str(field.annotation) else list(_words_of(field.annotation))
    return st.sampled_from([field.default, *words])


def _words_of(annotation: Any) -> Iterator[Any]:
    if annotation is bool:
        yield from (True, False)
    for inner in get_args(annotation):
        yield from [inner] if isinstance(inner, str) else _words_of(inner)


presets = st.fixed_dictionaries(
    {field.alias or name: _values(field) for name, field in Options.model_fields.items()}
).map(Options.model_validate)


@given(histories, presets)
def test_every_call_has_its_one_result_right_after_it_in_order(turns: list[Json], options: Options) -> None:
    sent, _ = messages(options, *turns)
    index = 0
    while index < len(sent):
        calls = [one["id"] for one in sent[index].get("tool_calls", [])]
        index += 1
        following = sent[index : index + len(calls)]
        assert [message.get("tool_call_id") for message in following] == calls
        index += len(calls)
        assert index == len(sent) or sent[index]["role"] != "tool"


@given(histories, presets)
def test_no_message_is_empty_and_no_part_blank(turns: list[Json], options: Options) -> None:
    for message in messages(options, *turns)[0]:
        content = message["content"]
        if message["role"] == "tool":
            assert content is not None
        elif message["role"] == "assistant" and not content:
            assert message.keys() & {"tool_calls", "reasoning_content", "reasoning_details"}
        else:
            assert content
            for part in content if isinstance(content, list) else [text(content)]:
                assert part["type"] != "text" or part["text"].strip()


@given(histories, presets)
def test_every_result_is_told_to_the_model(turns: list[Json], options: Options) -> None:
    given_results = sum(block["type"] == "tool_result" for turn in turns for block in _blocks(turn))
    sent, _ = messages(options.model_copy(update={"merge_adjacent": False}), *turns)
    told = sum(_tells_result(message) for message in sent)
    server_results = sum(block["type"].endswith("_tool_result") for turn in turns for block in _blocks(turn))
    assert told == given_results + server_results


def _blocks(turn: Json) -> list[Json]:
    return turn["content"] if isinstance(turn["content"], list) else []


def _tells_result(message: Json) -> bool:
    content = message["content"]
    if message["role"] == "tool":
        return bool(content != "(no result was recorded for this call)")
    return message["role"] == "user" and isinstance(content, str) and content.startswith("Result of tool call ")


_SDK_MESSAGES: TypeAdapter[list[ChatCompletionMessageParam]] = TypeAdapter(list[ChatCompletionMessageParam])


@given(histories, presets)
def test_the_official_sdk_could_have_sent_these_messages(turns: list[Json], options: Options) -> None:
    _SDK_MESSAGES.validate_python(messages(options, *turns)[0])


@given(spoiled, presets)
def test_encoding_never_changes_the_call_and_gives_equal_bytes_again(body: Json, options: Options) -> None:
    before = copy.deepcopy(body)
    with suppress(CallError):
        conversation = decode_request(body, Report())
        kept = copy.deepcopy(conversation)
        first, second = (orjson.dumps(write(conversation, options)[0]) for _ in range(2))
        assert first == second
        assert conversation == kept
    assert body == before


# Users


def test_a_document_is_inlined_with_title_and_context() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "D"}
    given_document = document(source, title='a "b"', context="C", citations={"enabled": True})
    content, adaptations = contents(PLAIN, given_document, document(source))
    assert content == '<document title="a &quot;b&quot;">\nC\nD\n</document>\n\n<document>\nD\n</document>'
    assert adaptations == ["dropped:messages[0].content[0].citations"]


def test_a_document_of_blocks_keeps_its_images_beside_its_text() -> None:
    source = {"type": "content", "content": [text("a"), IMAGE, text("b")]}
    content, adaptations = contents(PLAIN, document(source))
    assert content == [text("<document>\na\n\nb\n</document>"), IMAGE_PART]
    assert adaptations == []
    assert contents(PLAIN, document({"type": "content", "content": "a"}))[0] == "<document>\na\n</document>"


def test_a_pdf_travels_as_a_file_only_where_files_are_taken() -> None:
    files = Options(documents="file")
    content, adaptations = contents(files, document(PDF), document(PDF, title="r.pdf"))
    data = "data:application/pdf;base64,JVBE"
    assert content == [
        {"type": "file", "file": {"filename": "document.pdf", "file_data": data}},
        {"type": "file", "file": {"filename": "r.pdf", "file_data": data}},
    ]
    assert adaptations == []
    content, adaptations = contents(PLAIN, document(PDF, title="r.pdf"))
    assert content == "[document omitted: r.pdf could not be passed to this provider]"
    assert adaptations == ["dropped:messages[0].content[0]"]


def test_blocks_that_chat_has_no_word_for_are_dropped_and_reported() -> None:
    unknown: list[Json] = [
        {"type": "container_upload", "file_id": "f"},
        {"type": "browser_state", "tabs": []},
        {"type": "new"},
    ]
    content, adaptations = contents(PLAIN, *unknown, text("q"))
    assert content == "q"
    assert adaptations == [f"dropped:messages[0].content[{n}]" for n in range(3)]


def test_attachments_of_results_lead_the_next_user_message() -> None:
    turns = [
        assistant(call("a"), call("b")),
        user(text("look"), result("b", [text("see"), IMAGE]), result("a", [document(PDF)], is_error=True)),
    ]
    sent, adaptations = messages(Options(documents="file"), *turns)
    moved = "(attachment in the next user message)"
    assert sent[1:3] == [
        {"role": "tool", "tool_call_id": "a", "content": f"Error: {moved}"},
        {"role": "tool", "tool_call_id": "b", "content": f"see\n\n{moved}"},
    ]
    pdf = {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}}
    lead_b, lead_a = text("Attachment from tool result b:"), text("Attachment from tool result a:")
    assert sent[3] == {"role": "user", "content": [lead_b, IMAGE_PART, lead_a, pdf, text("look")]}
    assert adaptations == []


def test_what_a_result_holds_is_told_in_words() -> None:
    state = {"type": "browser_state", "tabs": [{"id": 1}]}
    inner = [{"type": "tool_reference", "tool_name": "x"}, state, IMAGE, {"type": "new"}]
    sent, adaptations = messages(Options(vision=False), assistant(call("a")), user(result("a", inner)))
    no_image = "[image omitted: this model does not accept images]"
    assert sent[1]["content"] == f'Tool available: x\n\n{{"type":"browser_state","tabs":[{{"id":1}}]}}\n\n{no_image}'
    assert adaptations == ["dropped:messages[1].content[0].content[2]", "dropped:messages[1].content[0].content[3]"]


@pytest.mark.parametrize("words", ["error: no", "ERROR", "<tool_use_error>no", " Error"])
def test_a_result_that_says_it_is_an_error_is_not_told_twice(words: str) -> None:
    sent, _ = messages(PLAIN, assistant(call("a")), user(result("a", words, is_error=True)))
    assert sent[1]["content"] == words


def test_results_without_a_call_become_the_users_words() -> None:
    turns = [user(result("x", "1"), text("go")), assistant(call("a")), user(result("a"), result("a", [text("2")]))]
    sent, adaptations = messages(PLAIN, *turns)
    assert sent == [
        {"role": "user", "content": "Result of tool call x:\n1"},
        {"role": "user", "content": "go"},
        sent[2],
        {"role": "tool", "tool_call_id": "a", "content": "r"},
        {"role": "user", "content": "Result of tool call a:\n2"},
    ]
    assert adaptations == ["degraded:tool_result:x", "degraded:tool_result:a"]


def test_results_spread_over_messages_all_follow_their_calls() -> None:
    system = {"role": "system", "content": "s"}
    turns = [assistant(call("a"), call("b")), user(result("b")), system, user(text("q"), result("a"))]
    sent, adaptations = messages(PLAIN, *turns)
    assert [message["role"] for message in sent] == ["assistant", "tool", "tool", "system", "user"]
    assert [message["tool_call_id"] for message in sent[1:3]] == ["a", "b"]
    assert adaptations == []


# Assistants


def test_a_server_tools_call_and_result_become_plain_ones() -> None:
    hits = [{"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "x"}] * 2
    turn = assistant(
        text("let me look"),
        call("s", "web_search", "server_tool_use", q="x"),
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": hits},
        text("found"),
        call("m", "ask", "mcp_tool_use"),
        {"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("no")], "is_error": True},
        text("sorry"),
    )
    sent, adaptations = messages(PLAIN, turn, user(text("ok")))
    assert [(message["role"], message["content"]) for message in sent] == [
        ("assistant", "let me look"),
        ("tool", "T - u\nT - u"),
        ("assistant", "found"),
        ("tool", "Error: no"),
        ("assistant", "sorry"),
        ("user", "ok"),
    ]
    assert sent[0]["tool_calls"][0]["function"] == {"name": "web_search", "arguments": '{"q":"x"}'}
    assert adaptations == ["degraded:messages[0].content[1]", "degraded:messages[0].content[4]"]


FETCHED = {"type": "web_fetch_result", "url": "u", "content": document({"type": "text", "data": "page"})}
FOUND = {"type": "tool_search_tool_search_result", "tool_references": [{"type": "tool_reference", "tool_name": "n"}]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ""),
        ("plain", "plain"),
        ({"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}, "Error: max_uses_exceeded"),
        ({"type": "code_execution_result", "stdout": "o", "stderr": "e", "return_code": 2}, "o\ne\n(exit code 2)"),
        ({"type": "bash_code_execution_result", "stdout": "o", "stderr": "", "return_code": 0}, "o"),
        (FETCHED, "u\npage"),
        ({**FETCHED, "content": document(PDF)}, "u"),
        ({**FETCHED, "content": 5}, "u"),
        (FOUND, "Tool available: n"),
        ({**FOUND, "tool_references": 3}, ""),
        ({"type": "text_editor_code_execution_view_result", "content": "file"}, "file"),
        ({"type": "advisor_result", "text": "do it"}, "do it"),
        ({"type": "new_result", "encrypted_stdout": "x", "lines": [1]}, '{"type":"new_result","lines":[1]}'),
        ([1, ["x"]], '1\n["x"]'),
    ],
)
def test_any_form_of_a_server_tools_result_can_be_told(content: Any, told: str) -> None:
    answer = {"type": "x_tool_result", "tool_use_id": "s", "content": content}
    sent, _ = messages(PLAIN, assistant(call("s", kind="server_tool_use"), answer), user(text("q")))
    assert sent[1] == {"role": "tool", "tool_call_id": "s", "content": told}


def test_what_an_assistant_cannot_say_is_dropped_and_a_summary_kept() -> None:
    blocks = [IMAGE, {"type": "fallback"}, {"type": "compaction", "content": None}, {"type": "compaction"}]
    sent, adaptations = messages(PLAIN, assistant(*blocks, {"type": "compaction", "content": "S"}), user(text("q")))
    assert sent[0] == {"role": "assistant", "content": "<summary>S</summary>"}
    assert adaptations == [f"dropped:messages[0].content[{n}]" for n in range(4)]


def test_neighbouring_turns_of_one_role_are_one() -> None:
    sent, _ = messages(PLAIN, assistant(text("a")), assistant(call("x")), user(result("x")), user(text("q")))
    assert [message["role"] for message in sent] == ["assistant", "tool", "user"]
    assert sent[0]["content"] == "a"


def test_a_system_message_that_is_over_does_not_part_the_users_turn() -> None:
    over = {"role": "system", "content": "s", "clear_at": "next_user_message", "output_config": {"effort": "low"}}
    sent, _ = messages(EFFORT, user(text("a")), over, user(text("b")))
    assert sent == [{"role": "user", "content": "a\n\nb"}]


def test_a_turn_with_only_calls_has_the_content_that_the_provider_wants() -> None:
    turns = [assistant(call("a")), user(result("a"))]
    assert messages(Options(null_content=""), *turns)[0][0]["content"] == ""


# Thinking history

RD = [{"type": "reasoning.summary", "summary": "s", "index": 0}, {"type": "reasoning.encrypted", "data": "e"}]


def thinking(words: str, signature: str | None) -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


def details(origin: str, *thoughts: Json) -> Any:
    conversation = read(messages=[assistant(*thoughts, text("a")), user(text("q"))])
    conversation.answer.origin = origin
    body, _, adaptations = write(conversation, Options(reasoning_history="reasoning_details"))
    assert adaptations == []
    return body["messages"][0].get("reasoning_details")


def test_reasoning_details_return_as_they_came_where_they_came_from() -> None:
    carried = thinking("t", envelope.wrap("rd", "OpenRouter/x", v=RD))
    assert details("OpenRouter/x", carried) == RD
    text_only = [{"type": "reasoning.text", "text": "t", "format": "unknown", "index": 0}]
    assert details("OpenRouter/y", carried) == text_only
    assert details("", carried) == text_only


def test_thinking_without_text_or_state_leaves_no_details() -> None:
    assert details("", thinking("", envelope.PLAIN), {"type": "redacted_thinking", "data": "pb1.x"}) is None


def test_an_anthropic_signature_in_an_envelope_is_put_back() -> None:
    signed = {"type": "reasoning.text", "text": "t", "signature": "S", "format": "anthropic-claude-v1", "index": 0}
    assert details("", thinking("t", envelope.wrap("an", s="S"))) == [signed]
    assert details("", thinking("t", "S")) == [signed]


def test_thinking_that_the_provider_takes_back_is_a_message_by_itself() -> None:
    options = Options(reasoning_history="reasoning_content")
    sent, _ = messages(options, assistant(thinking("a", "s"), thinking("", "s"), thinking("b", None)), user(text("q")))
    assert sent[0] == {"role": "assistant", "content": "", "reasoning_content": "a\nb"}


def test_gemini_gets_a_dummy_where_no_signature_came_back() -> None:
    gemini = Options(state="gemini")
    carrier = envelope.carrier(envelope.wrap("gts", "here", m={"a": "SIG", "b": 5}))
    conversation = read(messages=[assistant(carrier, call("b"), call("a")), user(result("a"), result("b"))])
    conversation.answer.origin = "here"
    body, answer, _ = write(conversation, gemini)
    signatures = [one["extra_content"]["google"]["thought_signature"] for one in body["messages"][0]["tool_calls"]]
    assert signatures == ["skip_thought_signature_validator", "SIG"]
    assert answer.state == "gemini"
    conversation.answer.origin = "elsewhere"
    calls = write(conversation, gemini)[0]["messages"][0]["tool_calls"]
    assert "extra_content" not in calls[1]


# Order and marks


def test_a_reminder_joins_the_users_turn() -> None:
    system = {"role": "system", "content": [text("be"), text("brief")]}
    blank = {"role": "system", "content": " "}
    sent, _ = messages(Options(mid_system="user_reminder"), user(text("q")), system, blank, user(text("r")))
    reminder = "<system-reminder>\nbe\n\nbrief\n</system-reminder>"
    assert sent == [{"role": "user", "content": f"q\n\n{reminder}\n\nr"}]


def test_neighbouring_users_are_merged_whatever_their_content() -> None:
    turns = [user(text("a")), assistant(thinking("t", "s")), user(IMAGE)]
    assert messages(Options(merge_adjacent=True), *turns)[0] == [user(text("a"), IMAGE_PART)]


@pytest.mark.parametrize("way", ["prefix", "partial"])
def test_a_prefill_is_marked_where_the_provider_has_a_word_for_it(way: Any) -> None:
    sent, adaptations = messages(Options(prefill=way), user(text("q")), assistant(text("{")))
    assert sent[1] == {"role": "assistant", "content": "{", way: True}
    assert adaptations == []


def test_a_turn_that_ends_in_a_call_is_no_prefill() -> None:
    sent, adaptations = messages(PLAIN, user(text("q")), assistant(call("a")))
    assert sent[-1]["role"] == "tool"
    assert adaptations == ["added:tool_result:a"]


def test_cache_marks_travel_in_the_providers_words() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body: Json = {
        "system": [text("s", **mark)],
        "messages": [
            user({**IMAGE, **mark}, text(" ", **mark)),
            assistant(text("a"), text("b", **mark), call("x")),
            user(result("x", "r", **mark)),
        ],
    }
    point = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    sent = encoded(Options(cache="openai_breakpoint"), **body)[0]["messages"]
    assert [message["content"] for message in sent] == [
        [text("s", **point)],
        [IMAGE_PART],
        [text("ab", **point)],
        [text("r", **point)],
    ]
    sent = encoded(Options(cache="cache_control"), **body)[0]["messages"]
    assert sent[1]["content"] == [{**IMAGE_PART, **mark}]
    assert encoded(**body)[0]["messages"][0]["content"] == "s"
    turns = [assistant(call("x")), user(result("x", "", **mark))]
    assert messages(Options(cache="cache_control"), *turns)[0][1]["content"] == ""


# Tools

NAMED = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
STRICT = {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_tool_is_strict_only_where_provider_and_schema_allow_it() -> None:
    tools = [{"name": "f", "input_schema": STRICT, "strict": True}, {**NAMED, "strict": True}]
    body, adaptations = encoded(Options(strict_tools=True), tools=tools)
    assert [tool["function"].get("strict") for tool in body["tools"]] == [True, None]
    assert adaptations == ["dropped:tools[1].strict"]
    assert encoded(tools=tools)[1] == ["dropped:tools[0].strict", "dropped:tools[1].strict"]


def test_a_schema_is_completed_without_being_changed() -> None:
    schema = {"properties": None, "title": "T"}
    body, _ = encoded(tools=[{"name": "f", "input_schema": schema}, {"name": "g", "description": ""}])
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}, "title": "T"}
    assert body["tools"][1]["function"] == {"name": "g", "parameters": {"type": "object", "properties": {}}}
    assert schema == {"properties": None, "title": "T"}


def test_examples_follow_the_description() -> None:
    body, _ = encoded(tools=[{**NAMED, "description": "D", "input_examples": [{"a": "é"}, {}]}])
    assert body["tools"][0]["function"]["description"] == 'D\n\nExample inputs:\n{"a":"é"}\n{}'


@pytest.mark.parametrize(
    ("kind", "name", "required"),
    [
        ("text_editor_20250728", "str_replace_based_edit_tool", ["command", "path"]),
        ("text_editor_20250124", "str_replace_editor", ["command", "path"]),
        ("memory_20250818", "memory", ["command"]),
        ("computer_20251124", "computer", ["action"]),
    ],
)
def test_tools_that_the_client_runs_are_offered_as_functions(kind: str, name: str, required: list[str]) -> None:
    body, adaptations = encoded(tools=[{"type": kind, "name": name}])
    function = body["tools"][0]["function"]
    assert (function["name"], function["parameters"]["required"]) == (name, required)
    assert set(required) <= function["parameters"]["properties"].keys()
    assert function["description"]
    assert adaptations == []


@pytest.mark.parametrize(
    "kind",
    ["web_fetch_20260318", "code_execution_20260521", "tool_search_tool_bm25_20251119", "advisor_20260301",
     "mcp_toolset", "computer_toolset_20260801", "browser_toolset_20260801", "new_20270101"],
)  # fmt: skip
def test_tools_that_only_anthropic_runs_are_dropped(kind: str) -> None:
    body, adaptations = encoded(tools=[NAMED, {"type": kind}], tool_choice={"type": "none"})
    assert (len(body["tools"]), body["tool_choice"], adaptations) == (1, "none", ["dropped:tools[1]"])


def test_a_choice_of_a_tool_that_is_not_offered_is_dropped() -> None:
    tools = [NAMED, {"type": "web_search_20250305", "name": "web_search"}]
    choice = {"type": "tool", "name": "web_search", "disable_parallel_tool_use": True}
    body, adaptations = encoded(tools=tools, tool_choice=choice)
    assert "tool_choice" not in body
    assert body["parallel_tool_calls"] is False
    assert adaptations == ["dropped:tools[1]", "dropped:tool_choice"]


def test_parallel_calls_are_the_default_and_not_asked_for() -> None:
    body, _ = encoded(tools=[NAMED], tool_choice={"type": "any", "disable_parallel_tool_use": False})
    assert body["tool_choice"] == "required"
    assert "parallel_tool_calls" not in body


def test_a_search_model_is_told_where_to_search_from() -> None:
    place = {"type": "approximate", "city": "Bern", "country": None}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "user_location": place}
    body, adaptations = encoded(Options(web_search="options"), tools=[search], tool_choice={"type": "auto"})
    where = {"user_location": {"type": "approximate", "approximate": {"city": "Bern"}}}
    assert body["web_search_options"] == where
    assert not body.keys() & {"tools", "tool_choice"}
    assert adaptations == ["dropped:tools[0].max_uses", "dropped:tool_choice"]


@given(st.text(min_size=1, max_size=140), st.integers(16, 128))
def test_every_name_fits_and_finds_its_way_back(name: str, longest: int) -> None:
    body, answer, _ = write(read(tools=[{**NAMED, "name": name}]), Options(tool_name_max=longest))
    sent = body["tools"][0]["function"]["name"]
    assert len(sent) <= longest
    assert set(sent) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert answer.tool_names.get(sent, sent) == name


def test_the_answer_keeps_what_was_known_and_the_call_is_not_completed_in_place() -> None:
    conversation = read(tools=[{**NAMED, "name": "n" * 70}])
    conversation.answer = replace(conversation.answer, tool_names={"short": "real"}, estimate=7)
    _, answer, _ = write(conversation, Options(think_tags=True))
    assert (answer.estimate, answer.think_tags, answer.request_model) == (7, True, "m")
    assert {"short": "real"}.items() < answer.tool_names.items()
    assert conversation.answer.tool_names == {"short": "real"}


# Thinking

EFFORT = Options(reasoning="effort")
ADAPTIVE = {"type": "adaptive"}


def budget(tokens: int) -> Json:
    return {"type": "enabled", "budget_tokens": tokens}


def asked(options: Options, thinking: Json | None, effort: str | None = None, **more: Any) -> tuple[Json, list[str]]:
    """What a body says of thinking."""
    body, adaptations = encoded(options, thinking=thinking, output_config={"effort": effort}, **more)
    return {key: value for key, value in body.items() if key not in ("model", "messages", "tools")}, adaptations


@pytest.mark.parametrize(
    ("tokens", "effort"),
    [
        (1024, "low"),
        (2048, "low"),
        (2049, "medium"),
        (8193, "high"),
        (16385, "xhigh"),
        (24576, "xhigh"),
        (24577, "max"),
    ],
)
def test_a_budget_stands_for_an_effort(tokens: int, effort: str) -> None:
    every = Options(reasoning="effort", efforts=("low", "medium", "high", "xhigh", "max"))
    assert asked(every, budget(tokens)) == ({"reasoning_effort": effort}, [])


@pytest.mark.parametrize(
    ("efforts", "wanted", "sent"),
    [
        (None, "max", "high"),
        (("none", "minimal", "high"), "medium", "minimal"),
        (("none", "high"), "low", "high"),
        (("xhigh", "medium"), "high", "medium"),
    ],
)
def test_an_effort_is_lowered_and_only_then_raised(efforts: Any, wanted: str, sent: str) -> None:
    options = Options(reasoning="effort", efforts=efforts)
    expected = ({"reasoning_effort": sent}, ["clamped:output_config.effort"])
    assert asked(options, ADAPTIVE, wanted) == expected
    assert asked(options, None, wanted) == expected


def test_an_effort_beside_a_budget_wins_and_no_thinking_beats_both() -> None:
    assert asked(EFFORT, budget(1024), "high") == ({"reasoning_effort": "high"}, [])
    options = Options(reasoning="effort", efforts=("none", "low"))
    assert asked(options, {"type": "disabled"}, "high") == ({"reasoning_effort": "none"}, [])
    assert asked(EFFORT, {"type": "disabled"}) == ({}, ["dropped:thinking"])


def test_the_last_effort_of_the_conversation_holds() -> None:
    system = {"role": "system", "content": "s", "output_config": {"effort": "low"}}
    turns = [user(text("q")), system, {**assistant(text("a")), "output_config": "junk"}]
    assert asked(EFFORT, ADAPTIVE, "high", messages=turns)[0] == {"reasoning_effort": "low"}


def test_an_effort_newer_than_this_gateway_is_reported() -> None:
    assert asked(EFFORT, ADAPTIVE, "cosmic") == ({}, ["dropped:output_config.effort"])


def test_tools_without_effort_say_so_only_when_thinking_was_wanted() -> None:
    options = Options(reasoning="effort", tools_effort_none=True)
    none = {"reasoning_effort": "none"}
    assert asked(options, ADAPTIVE, tools=[NAMED]) == (none, ["changed:reasoning_effort"])
    assert asked(options, {"type": "disabled"}, tools=[NAMED]) == (none, [])
    assert asked(options, ADAPTIVE, "low") == ({"reasoning_effort": "low"}, [])


OFF = {"type": "disabled"}


@pytest.mark.parametrize(
    ("way", "thinking", "effort", "sent", "lost"),
    [
        ("none", ADAPTIVE, "high", {}, ["dropped:thinking"]),
        ("none", None, "high", {}, ["dropped:output_config.effort"]),
        ("none", OFF, "high", {}, []),
        ("none", {"type": "between_tools"}, None, {}, []),
        ("openrouter", OFF, None, {"reasoning": {"enabled": False}}, []),
        ("openrouter", ADAPTIVE, None, {"reasoning": {"enabled": True}}, []),
        ("openrouter", budget(99), None, {"reasoning": {"max_tokens": 99}}, []),
        ("openrouter", budget(99), "xhigh", {"reasoning": {"effort": "xhigh"}}, []),
        ("openrouter", None, "low", {"reasoning": {"effort": "low"}}, []),
        ("deepseek", OFF, "high", {"thinking": OFF}, []),
        ("deepseek", ADAPTIVE, None, {"thinking": {"type": "enabled"}}, []),
        ("deepseek", ADAPTIVE, "low", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, []),
        ("deepseek", None, "xhigh", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, []),
        ("deepseek", budget(32000), None, {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, []),
        ("thinking_type", budget(99), None, {"thinking": {"type": "enabled"}}, []),
        ("thinking_type", ADAPTIVE, "low", {"thinking": {"type": "enabled"}}, ["dropped:output_config.effort"]),
        ("thinking_type", OFF, "low", {"thinking": OFF}, []),
        ("qwen", OFF, None, {"enable_thinking": False}, []),
        ("qwen", ADAPTIVE, None, {"enable_thinking": True}, []),
        ("qwen", ADAPTIVE, "medium", {"enable_thinking": True, "thinking_budget": 8192}, []),
        ("vllm", OFF, None, {"chat_template_kwargs": {"enable_thinking": False}}, []),
        ("vllm", budget(99), None, {"chat_template_kwargs": {"enable_thinking": True}}, []),
    ],
)
def test_each_way_of_asking_says_what_it_can(
    way: Any, thinking: Any, effort: str | None, sent: Json, lost: list[str]
) -> None:
    assert asked(Options(reasoning=way), thinking, effort) == (sent, lost)
    assert asked(Options(reasoning=way), None) == ({}, [])


# Structured output


def test_a_schema_outside_the_strict_subset_is_not_called_strict() -> None:
    body, adaptations = encoded(output_format={"type": "json_schema", "schema": {"type": "object"}})
    assert body["response_format"]["json_schema"] == {"name": "output", "schema": {"type": "object"}, "strict": False}
    assert adaptations == []


@pytest.mark.parametrize(("way", "asked_for"), [("json_object", {"type": "json_object"}), ("prompt", None)])
def test_a_provider_without_schemas_is_told_in_words(way: Any, asked_for: Any) -> None:
    wanted = {"format": {"type": "json_schema", "schema": {"type": "array"}}, "task_budget": {"total": 5}}
    body, adaptations = encoded(Options(json=way), system="S", output_config=wanted)
    words = 'Respond with one JSON value that satisfies this JSON Schema, and nothing else:\n{"type":"array"}'
    assert body["messages"][0] == {"role": "system", "content": f"S\n\n{words}"}
    assert body.get("response_format") == asked_for
    assert adaptations == ["dropped:output_config.task_budget", "degraded:output_config.format"]


def test_any_json_object_may_be_asked_for() -> None:
    wanted = {"format": {"type": "json_object"}}
    assert encoded(output_config=wanted)[0]["response_format"] == {"type": "json_object"}
    body, adaptations = encoded(Options(json="prompt"), output_config=wanted)
    assert body["messages"][0]["content"] == "Respond with one valid JSON object and nothing else."
    assert adaptations == ["degraded:output_config.format"]
    assert encoded(output_config={"format": {"type": "grammar"}})[1] == ["dropped:output_config.format"]


# Scalars


def scalars(options: Options = PLAIN, **body: Any) -> tuple[Json, list[str]]:
    written, adaptations = encoded(options, **body)
    return {key: value for key, value in written.items() if key not in ("model", "messages")}, adaptations


def test_what_only_anthropic_has_is_reported_unless_it_only_changes_cost() -> None:
    lost: Json = {"container": "c", "mcp_servers": [{}], "context_management": {"edits": [1]}, "inference_geo": "eu"}
    lost |= {"fallbacks": [{}], "speed": "fast", "brand_new": 1}
    silent: Json = {"cache_control": {}, "diagnostics": {}, "user_profile_id": "u", "metadata": {"user_id": "u"}}
    silent |= {"service_tier": "auto", "betas": None}
    sent, adaptations = scalars(**lost, **silent)
    assert sent == {}
    assert sorted(adaptations) == sorted(f"dropped:{name}" for name in lost)


def test_values_that_ask_for_nothing_are_silent() -> None:
    nothing: Json = {
        "mcp_servers": [],
        "fallbacks": [],
        "context_management": {},
        "speed": "standard",
        "stop_sequences": [],
    }
    assert scalars(**nothing) == ({}, [])


def test_what_a_chat_server_knows_is_passed_on() -> None:
    known = {"seed": 1, "logit_bias": {"1": 2}, "presence_penalty": 0.5, "prompt_cache_key": "k"}
    conversation = read()
    conversation.params = known
    body, _, adaptations = write(conversation)
    assert known.items() < body.items()
    assert adaptations == []


def test_sampling_and_stops_are_dropped_where_the_provider_refuses_them() -> None:
    options = Options(drop_sampling=True, stop_max=0)
    sent, adaptations = scalars(options, temperature=0.5, top_p=0.1, stop_sequences=["a"])
    assert sent == {}
    assert sorted(adaptations) == ["dropped:stop_sequences", "dropped:temperature", "dropped:top_p"]


def test_options_open_what_a_provider_takes() -> None:
    options = Options(top_k=True, user_field="user", service_tier=True, stop_max=2)
    body: Json = {
        "top_k": 3,
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "stop_sequences": ["a", "b"],
    }
    sent, adaptations = scalars(options, **body)
    assert sent == {"top_k": 3, "user": "u", "service_tier": "default", "stop": ["a", "b"]}
    assert adaptations == []


def test_usage_is_asked_for_only_where_the_provider_takes_the_question() -> None:
    assert scalars(Options(stream_usage=False), stream=True)[0] == {"stream": True}


def test_the_leading_message_has_the_role_that_the_provider_insists_on() -> None:
    body, _ = encoded(Options(system_role="developer"), system=[text("s"), {"type": "new"}])
    assert body["messages"][0] == {"role": "developer", "content": "s"}
