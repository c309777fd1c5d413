"""The bodies that an Anthropic endpoint gets, from what chat clients write."""

import copy
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Block, Conversation, Json, Report, Turn
from portbroker.dialects.anthropic_messages.encode_request import encode_request
from portbroker.dialects.envelope import PLAIN
from portbroker.dialects.openai_chat.decode_request import decode_request
from portbroker.dialects.openai_responses.decode_request import decode_request as decode_response_request
from portbroker.fieldmap.params import dialect_params

USER = {"role": "user", "content": "hi"}
TOOLS = [{"type": "function", "function": {"name": "a"}}]


def write(conversation: Conversation, **options: Any) -> tuple[Json, list[str], AnswerContext]:
    report, chosen = Report(), Options(**options)
    report.names = conversation.params.get("_names", {})
    body, context = encode_request(conversation, chosen, dialect_params("anthropic.messages", chosen), report)
    return body, [str(adaptation) for adaptation in report], context


def translate(body: Json, **options: Any) -> tuple[Json, list[str]]:
    report = Report()
    conversation = decode_request({"model": "m", "messages": [USER], **body}, report)
    written, adaptations, _ = write(conversation, **options)
    return written, [*map(str, report), *adaptations]


def messages(*given: Json, **options: Any) -> tuple[list[Json], list[str]]:
    body, report = translate({"messages": list(given)}, **options)
    return body["messages"], report


def calls(*ids: str, name: str = "a") -> Json:
    listed = [{"id": i, "type": "function", "function": {"name": name, "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": listed}


def result(call_id: str, text: str = "r") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def user(text: Any) -> Json:
    return {"role": "user", "content": text}


def assistant(text: str) -> Json:
    return {"role": "assistant", "content": text}


def system(text: str) -> Json:
    return {"role": "system", "content": text}


# Calls and results


def test_results_stand_first_and_in_the_order_of_the_calls() -> None:
    turns, report = messages(USER, calls("a", "b"), user("and?"), result("b", "2"), result("a", "1"))
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        {"type": "text", "text": "and?"},
    ]
    assert report == []


@pytest.mark.parametrize("after", [[], [user("so?")], [assistant("hm"), user("so?")]])
def test_a_missing_result_is_added_even_at_the_end(after: list[Json]) -> None:
    turns, report = messages(USER, calls("a"), *after)
    assert turns[2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": "(no result was recorded for this call)",
        "is_error": True,
    }
    assert report == ["added:tool_result:a"]


def test_a_result_without_its_call_becomes_text_in_front_of_what_the_user_says() -> None:
    turns, report = messages(USER, assistant("x"), user("so?"), result("z.1", "42"))
    assert turns[2]["content"] == [
        {"type": "text", "text": "Result of tool call z_1:\n42"},
        {"type": "text", "text": "so?"},
    ]
    assert report == ["degraded:tool_result:z_1"]


def test_a_second_result_for_a_call_is_not_lost() -> None:
    turns, report = messages(USER, calls("a"), result("a", "1"), result("a", "2"))
    assert turns[2]["content"][1] == {"type": "text", "text": "Result of tool call a:\n2"}
    assert report == ["degraded:tool_result:a"]


def test_a_result_that_comes_a_turn_too_late_is_not_taken_for_another_call_of_the_same_id() -> None:
    turns, _ = messages(USER, calls("a"), result("a", "1"), calls("a"), result("a", "2"))
    ids = [turns[1]["content"][0]["id"], turns[3]["content"][0]["id"]]
    assert ids == ["a", "a_2"]
    assert [turns[i]["content"][0]["content"] for i in (2, 4)] == ["1", "2"]
    assert turns[4]["content"][0]["tool_use_id"] == "a_2"


def test_a_picture_stays_inside_its_result() -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}]
    turns, _ = messages(USER, calls("a"), {**result("a"), "content": parts})
    assert [part["type"] for part in turns[2]["content"][0]["content"]] == ["text", "image"]


def test_names_that_anthropic_refuses_have_one_substitute_everywhere_and_a_way_back() -> None:
    name = "mcp.files/" + "x" * 150
    tools = [{"type": "function", "function": {"name": name}}]
    body = {
        "model": "m",
        "tools": tools,
        "tool_choice": {"type": "function", "function": {"name": name}},
        "messages": [USER, calls("a", name=name), result("a")],
    }
    written, _, context = write(decode_request(body, Report()))
    substitute = written["tools"][0]["name"]
    assert len(substitute) == 128
    assert written["tool_choice"]["name"] == written["messages"][1]["content"][0]["name"] == substitute
    assert context.tool_names == {substitute: name}


# System messages in mid-conversation


def test_a_later_system_message_becomes_a_reminder_where_it_stands() -> None:
    turns, report = messages(USER, assistant("x"), system("Be brief."), user("y"))
    assert turns[2]["content"] == [
        {"type": "text", "text": "<system-reminder>\nBe brief.\n</system-reminder>"},
        {"type": "text", "text": "y"},
    ]
    assert report == ["degraded:messages[2].role"]


@pytest.mark.parametrize("after", [[], [assistant("x"), USER]])
def test_a_model_that_takes_system_messages_gets_them_in_place_and_merged(after: list[Json]) -> None:
    turns, report = messages(USER, system("a"), system("b"), *after, mid_system=True)
    assert turns[1] == {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert report == []


@pytest.mark.parametrize(
    "history", [[USER, system("s"), USER], [USER, assistant("x"), system("s"), USER], [USER, calls("c"), system("s")]]
)
def test_a_system_message_that_has_no_legal_place_is_a_reminder_all_the_same(history: list[Json]) -> None:
    turns, report = messages(*history, mid_system=True)
    assert "system" not in [turn["role"] for turn in turns]
    assert f"degraded:messages[{history.index(system('s'))}].role" in report


# The ends


def test_an_assistant_that_begins_is_answered_to_first() -> None:
    turns, report = messages(assistant("Hello!"), USER)
    assert turns[0] == {"role": "user", "content": "Continue."}
    assert report == ["added:messages[0]"]


def test_a_model_without_prefill_is_asked_to_continue() -> None:
    turns, report = messages(USER, assistant("{ "), no_prefill=True)
    assert turns[1:] == [assistant("{"), user("Continue.")]
    assert report == ["changed:prefill"]


def test_a_turn_of_thoughts_alone_is_left_out() -> None:
    details = [{"type": "reasoning.text", "format": "anthropic-claude-v1", "text": "hm", "signature": "S"}]
    turns, report = messages(USER, {"role": "assistant", "content": "", "reasoning_details": details}, USER)
    assert [turn["role"] for turn in turns] == ["user"]
    assert report == []


# Blocks


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}},
            "[image omitted: image/bmp is not accepted by this provider]",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            "[audio omitted: this model does not accept audio]",
        ),
        (
            {"type": "file", "file": {"file_id": "file-1"}},
            "[document omitted: file-1 could not be passed to this provider]",
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/zip;base64,AA=="}},
            "[document omitted: application/zip is not accepted by this provider]",
        ),
    ],
)
def test_what_anthropic_does_not_take_leaves_a_word_in_its_place(part: Json, text: str) -> None:
    turns, report = messages(user([part]))
    assert turns == [user(text)]
    assert report == ["dropped:messages[0].content[0]"]


def test_a_model_that_cannot_see_is_told_so() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}
    turns, report = messages(user([picture]), vision=False)
    assert turns == [user("[image omitted: this model does not accept images]")]
    assert report == ["dropped:messages[0].content[0]"]


def test_a_file_of_text_is_a_document_of_text() -> None:
    turns, _ = messages(user([{"type": "file", "file": {"filename": "a.md", "file_data": "data:text/md;base64,aGk="}}]))
    source = {"type": "text", "media_type": "text/plain", "data": "hi"}
    assert turns[0]["content"] == [{"type": "document", "source": source, "title": "a.md"}]


def test_only_the_last_four_cache_marks_stay() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    parts = [{"type": "text", "text": str(n), **mark} for n in range(4)]
    body, report = translate({
        "messages": [{"role": "system", "content": [{"type": "text", "text": "s", **mark}]}, user(parts)],
        "tools": [{**TOOLS[0], **mark}],
    })  # fmt: skip
    assert "cache_control" not in body["tools"][0]
    assert body["system"] == [{"type": "text", "text": "s"}]
    assert all("cache_control" in part for part in body["messages"][0]["content"])
    assert report == []


def test_state_of_other_providers_and_citations_of_the_gateway_are_left_out() -> None:
    minted = {"type": "web_search_result_location", "url": "u", "encrypted_index": ""}
    blocks: list[Json] = [
        {"type": "thinking", "thinking": "t", "signature": PLAIN},
        {"type": "redacted_thinking", "data": PLAIN},
        {"type": "thinking", "thinking": "t", "signature": ""},
        {"type": "text", "text": "See", "citations": [minted]},
        {"type": "text", "text": "that", "citations": [minted, {**minted, "encrypted_index": "E"}]},
    ]
    turn = Turn("assistant", [Block(data, "messages[0]", n) for n, data in enumerate(blocks)], "messages[0]")
    body, report, _ = write(Conversation("m", turns=[turn, Turn("user", [Block(text("x"), "messages[1]")], "")]))
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "text", "text": "that", "citations": [{**minted, "encrypted_index": "E"}]},
    ]
    assert report == ["added:messages[0]"]


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def test_a_document_is_never_put_into_the_assistants_mouth() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
    turn = Turn("assistant", [Block(text("a"), "messages[0]", 0), Block(document, "messages[0]", 1)], "messages[0]")
    body, report, _ = write(Conversation("m", turns=[turn]))
    assert body["messages"][1]["content"] == "a"
    assert "dropped:messages[0].content[1]" in report


# Parameters


@pytest.mark.parametrize(
    ("body", "options", "sent", "report"),
    [
        ({"temperature": 1.5}, {}, {"temperature": 1}, ["clamped:temperature"]),
        ({"temperature": 0, "top_p": 0}, {}, {"temperature": 0, "top_p": 0}, []),
        ({"top_k": 5}, {}, {"top_k": 5}, []),
        ({"temperature": 0.5, "top_k": 5, "reasoning_effort": "low"}, {}, {}, ["dropped:temperature", "dropped:top_k"]),
        ({"top_p": 0.5, "reasoning_effort": "low"}, {}, {}, ["dropped:top_p"]),
        ({"top_p": 0.97, "reasoning_effort": "low"}, {}, {"top_p": 0.97}, []),
        ({"temperature": 0.5, "reasoning_effort": "none"}, {}, {"temperature": 0.5}, []),
        ({"n": 1}, {}, {}, []),
        ({"n": 3}, {}, {}, ["clamped:n"]),
        ({"seed": 0, "logit_bias": {}, "logprobs": False, "presence_penalty": 0.0, "modalities": ["text"]}, {}, {}, []),
        (
            {"seed": 1, "logprobs": True, "top_logprobs": 2, "modalities": ["text", "audio"], "verbosity": "low"},
            {},
            {},
            ["dropped:seed", "dropped:logprobs", "dropped:top_logprobs", "dropped:modalities", "dropped:verbosity"],
        ),
        ({"future_field": 1}, {}, {}, ["dropped:future_field"]),
        ({"store": True, "metadata": {"a": "b"}, "prompt_cache_key": "k", "service_tier": "flex"}, {}, {}, []),
        ({"service_tier": "auto"}, {}, {"service_tier": "auto"}, []),
    ],
)
def test_scalars(body: Json, options: Json, sent: Json, report: list[str]) -> None:
    written, adaptations = translate(body, **options)
    structure = ("model", "messages", "max_tokens", "thinking", "output_config")
    assert {key: value for key, value in written.items() if key not in structure} == sent
    assert sorted(adaptations) == sorted(report)


@pytest.mark.parametrize("name", ["someone@example.com", "x" * 300])
def test_a_user_that_anthropic_refuses_is_sent_as_a_hash(name: str) -> None:
    (sent,) = translate({"user": name})[0]["metadata"].values()
    assert len(sent) == 64
    assert sent == translate({"user": name})[0]["metadata"]["user_id"]


DEFAULTS = {"max_tokens": 40000}


@pytest.mark.parametrize(
    ("body", "options", "sent", "report"),
    [
        ({"reasoning_effort": "none"}, {}, {"thinking": {"type": "disabled"}}, []),
        (
            {"reasoning_effort": "none"},
            {"thinking_off": False},
            {"output_config": {"effort": "low"}},
            ["changed:reasoning_effort"],
        ),
        ({"reasoning_effort": "none"}, {"thinking": "none"}, {}, []),
        ({"reasoning_effort": "high"}, {"thinking": "none"}, {}, ["dropped:reasoning_effort"]),
        ({"reasoning_effort": "hyper"}, {}, {}, ["dropped:reasoning_effort"]),
        (
            {"reasoning_effort": "xhigh"},
            {"efforts": ["low", "high", "max"]},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["clamped:reasoning_effort"],
        ),
        (
            {"reasoning_effort": "low"},
            {"efforts": ["none", "medium", "high"]},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
            ["clamped:reasoning_effort"],
        ),
        (
            {"reasoning_effort": "high", "tools": TOOLS, "tool_choice": "required"},
            {},
            {"output_config": {"effort": "high"}},
            ["degraded:reasoning_effort"],
        ),
        (
            {"reasoning_effort": "high", "tools": TOOLS, "tool_choice": "required"},
            {"no_forced_tools": True},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["changed:tool_choice"],
        ),
        (
            {"reasoning_effort": "minimal"},
            {"thinking": "budget"},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            [],
        ),
        (
            {"reasoning_effort": "max"},
            {"thinking": "budget"},
            {"thinking": {"type": "enabled", "budget_tokens": 30000}},
            [],
        ),
        (
            {"reasoning_effort": "low", "tools": TOOLS, "tool_choice": "required"},
            {"thinking": "budget"},
            {},
            ["dropped:reasoning_effort"],
        ),
        (
            {"reasoning_effort": "low", "messages": [USER, calls("a"), result("a")]},
            {"thinking": "budget"},
            {},
            ["dropped:reasoning_effort"],
        ),
        (
            {"reasoning_effort": "low", "messages": [USER, assistant("x"), USER]},
            {"thinking": "budget"},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            [],
        ),
    ],
)
def test_how_hard_to_think(body: Json, options: Json, sent: Json, report: list[str]) -> None:
    written, adaptations = translate({**DEFAULTS, **body}, **options)
    assert {key: written[key] for key in ("thinking", "output_config") if key in written} == sent
    assert adaptations == report


@pytest.mark.parametrize(
    ("reasoning", "options", "thinking"),
    [
        ({"effort": "high", "summary": "auto"}, {"no_sampling": True}, {"type": "adaptive", "display": "summarized"}),
        ({"effort": "high", "summary": "auto"}, {}, {"type": "adaptive"}),
        ({"effort": "high"}, {"no_sampling": True}, {"type": "adaptive"}),
    ],
)
def test_thinking_is_shown_to_a_client_that_wants_a_summary(reasoning: Json, options: Json, thinking: Json) -> None:
    """Newer models, those that refuse sampling, leave its text out unless they are asked for it."""
    body = {"model": "m", "input": "hi", "reasoning": reasoning}
    written, _, _ = write(decode_response_request(body, Report()), **options)
    assert written["thinking"] == thinking


def test_a_search_on_the_web_is_asked_for_by_an_empty_object_too() -> None:
    assert translate({"web_search_options": {}})[1] == ["dropped:web_search_options"]


SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("wanted", "options", "sent", "report"),
    [
        (SCHEMA, {}, {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, []),
        (
            SCHEMA,
            {"structured": False},
            {
                "system": "Respond with one JSON value that satisfies this JSON Schema, and nothing else:\n"
                '{"type":"object"}'
            },
            ["degraded:response_format"],
        ),
        (
            {"type": "json_object"},
            {},
            {"system": "Respond with one valid JSON object and nothing else."},
            ["degraded:response_format"],
        ),
    ],
)
def test_the_form_of_the_answer(wanted: Json, options: Json, sent: Json, report: list[str]) -> None:
    written, adaptations = translate({"response_format": wanted}, **options)
    assert {key: written[key] for key in ("system", "output_config") if key in written} == sent
    assert adaptations == report


@pytest.mark.parametrize(
    ("body", "options", "sent", "report"),
    [
        ({"tool_choice": "required"}, {}, None, ["dropped:tool_choice"]),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, {}, None, []),
        ({"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False}, {}, {"type": "none"}, []),
        (
            {"tools": TOOLS, "function_call": {"name": "a"}},
            {"no_forced_tools": True},
            {"type": "auto"},
            ["changed:function_call"],
        ),
        (
            {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
            {"no_forced_tools": True},
            {"type": "auto", "disable_parallel_tool_use": True},
            ["changed:tool_choice"],
        ),
    ],
)
def test_the_choice_of_tools(body: Json, options: Json, sent: Json | None, report: list[str]) -> None:
    written, adaptations = translate(body, **options)
    assert written.get("tool_choice") == sent
    assert adaptations == report


# Whatever the history


_ids = st.sampled_from(["a", "b", "c.1", "c:1", ""])
_said = st.sampled_from(["", " ", "\n", "word", "two words \n", "…"])
_parts = st.one_of(
    _said,
    st.lists(
        st.one_of(
            _said.map(text),
            _said.map(lambda t: {**text(t), "cache_control": {"type": "ephemeral"}}),
            st.just({"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}),
            st.just({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}),
        ),
        max_size=3,
    ),
)
_detail = st.sampled_from(["S", "", PLAIN]).map(
    lambda signature: {"type": "reasoning.text", "format": "anthropic", "text": "t", "signature": signature}
)
_assistants = st.builds(
    lambda content, ids, details: {**calls(*ids), "content": content, "reasoning_details": details},
    st.none() | _said,
    st.lists(_ids, max_size=3),
    st.lists(_detail, max_size=2),
)
_histories = st.lists(
    st.one_of(
        st.builds(
            lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "system"]), _parts
        ),
        _assistants,
        st.builds(lambda i, content: {"role": "tool", "tool_call_id": i, "content": content}, _ids, _parts),
    ),
    min_size=1,
    max_size=9,
)
_options = st.fixed_dictionaries({
    "mid_system": st.booleans(),
    "no_prefill": st.booleans(),
    "thinking": st.sampled_from(["effort", "budget"]),
})  # fmt: skip


@settings(deadline=None)
@given(_histories, _options, st.sampled_from([None, "low", "none"]))
def test_every_history_becomes_a_body_that_anthropic_takes(history: list[Json], options: Json, effort: Any) -> None:
    body = {"model": "m", "messages": history, "reasoning_effort": effort}
    before = copy.deepcopy(body)
    written, adaptations = translate(body, **options)
    assert (written, adaptations) == translate(body, **options)
    assert body == before
    orjson.dumps(written)
    check_turns(written["messages"], options)
    marks = orjson.dumps(written).count(b'"cache_control"')
    assert marks <= 4


def check_turns(turns: list[Json], options: Json) -> None:
    roles = [turn["role"] for turn in turns]
    spoken = [role for role in roles if role != "system"]
    assert spoken[0] == roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    assert all(a != b for a, b in pairwise(spoken))
    assert options["mid_system"] or "system" not in roles
    assert not (options["no_prefill"] and roles[-1] == "assistant")
    blocks = [turn["content"] if isinstance(turn["content"], list) else [text(turn["content"])] for turn in turns]
    check_pairs(roles, blocks)
    check_words(roles, blocks)


def check_pairs(roles: list[str], blocks: list[list[Json]]) -> None:
    asked: list[str] = []
    every: list[str] = []
    for role, content in zip(roles, blocks, strict=True):
        given = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert given == asked
        assert all(block["type"] == "tool_result" for block in content[: len(given)])
        asked = [block["id"] for block in content if block["type"] == "tool_use"]
        every += asked
        assert not asked or role == "assistant"
    assert asked == []
    assert len(every) == len(set(every))
    assert all(call_id and call_id.replace("_", "").isalnum() for call_id in every)


def check_words(roles: list[str], blocks: list[list[Json]]) -> None:
    for role, content in zip(roles, blocks, strict=True):
        assert content
        assert all(block["text"].strip() for block in content if block["type"] == "text")
        assert all(block["signature"] == "S" for block in content if block["type"] == "thinking")
        assert role != "assistant" or content[-1]["type"] != "thinking"
    if roles[-1] == "assistant" and blocks[-1][-1]["type"] == "text":
        assert blocks[-1][-1]["text"] == blocks[-1][-1]["text"].rstrip()
