"""Bodies that a client could send on purpose: whatever their shape, the only error they can bring about is its own."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.call import parse_call
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT
from portbroker.errors import CallError, ProviderError
from portbroker.snapshot import Target
from portbroker.tokens import estimate
from portbroker.translate import Answering, prepare

Json = dict[str, Any]

FILE = b"""
providers:
  - {name: Chat, provider_type: openai, api_key: sk-secret-0123456789, models: [chat, gpt-5-mini]}
  - {name: Claude, provider_type: anthropic, api_key: sk-secret-0123456789, models: [claude]}
  - {name: Gemini, provider_type: gemini, api_key: sk-secret-0123456789, models: [gemini]}
  - {name: Mistral, provider_type: mistral, api_key: sk-secret-0123456789, models: [mistral]}
  - {name: DeepSeek, provider_type: deepseek, api_key: sk-secret-0123456789, models: [deepseek]}
"""
MODELS = ("chat", "gpt-5-mini", "claude", "gemini", "mistral", "deepseek")


@cache
def target(model: str) -> Target:
    snapshot = compile_snapshot(load_text(FILE, file="t.yaml", directory=Path("/nonexistent"), environ={}))
    provider = next(p for p in snapshot.providers.values() if p.lists(model))
    return snapshot.target(provider, model)


odd = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([10**18, -(10**18), 1e308, -0.0, 0.5]),
    st.text(max_size=4),
    st.sampled_from(["text", "image", "tool_use", "tool_result", "thinking", "function", "auto", "any", "user",
    "ephemeral"]),
    st.just([]), st.just({}), st.lists(st.none(), max_size=2), st.just([[]]), st.just([{}]), st.just({"type": "text"}),
    st.just({"type": None}), st.just({"": {"": []}}),
)  # fmt: skip


def mostly(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """This, and now and then something else: with too much wrong at once only the first of it would be found."""
    return st.sampled_from([value] * 24 + [odd]).flatmap(lambda chosen: chosen)


def shaped(fields: dict[str, st.SearchStrategy[Any]], always: tuple[str, ...] = ("type",)) -> st.SearchStrategy[Json]:
    """An object with some of these fields, any of which may be something else."""
    values = {name: mostly(value) for name, value in fields.items()}
    given = {name: values.pop(name) for name in always if name in values}
    return st.fixed_dictionaries(given, optional=values)


def listed(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(mostly(value), max_size=4)


words = st.sampled_from(["", "a", "toolu_1", "call_1", "get_weather", "x" * 70, "\x00", "a b", "é"])
numbers = st.one_of(st.integers(1, 100_000), st.integers(1, 100_000), st.floats(0, 1), st.integers(-1, 0))
limits = st.integers(1, 100_000)
shares = st.floats(0, 1)
texts = st.one_of(words, st.just("auto"))
things: st.SearchStrategy[Json] = st.one_of(st.just({}), st.just({"a": "b"}))
schema = shaped({
    "type": st.sampled_from(["object", "string", "array"]), "properties": st.just({"a": {"type": "string"}}),
    "required": st.just(["a"]), "additionalProperties": st.booleans(), "$ref": st.just("#/$defs/a"),
    "$defs": st.just({"a": {"$ref": "#/$defs/a"}}), "anyOf": listed(st.just({"type": "null"})), "items": odd,
    "enum": odd,
})  # fmt: skip
source = shaped({
    "type": st.sampled_from(["base64", "url", "text", "file", "content"]), "media_type": st.just("image/png"),
    "data": st.sampled_from(["aGk=", "%%%", ""]), "url": st.sampled_from(["http://169.254.169.254/x", "data:,x",
    "file:///"]),
})  # fmt: skip
block = shaped({
    "type": st.sampled_from(["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking",
                             "server_tool_use", "web_search_tool_result", "search_result", "mcp_tool_use", "new"]),
    "text": words, "source": source, "id": words, "name": words, "input": st.just({"a": 1}), "tool_use_id": words,
    "content": st.one_of(words, listed(shaped({"type": st.just("text"), "text": words, "source": source}))),
    "is_error": st.booleans(), "thinking": words, "signature": words, "data": words, "cache_control": odd,
    "title": words,
    "citations": odd, "context": words,
})  # fmt: skip
tool = shaped({
    "type": st.sampled_from(["custom", "function", "web_search_20250305", "bash_20250124", "new"]), "name": words,
    "description": words, "input_schema": schema, "strict": st.booleans(), "cache_control": odd, "max_uses": numbers,
    "function": shaped({"name": words, "description": words, "parameters": schema, "strict": st.booleans()}),
    "custom": odd, "defer_loading": st.booleans(),
})  # fmt: skip
choice = shaped({
    "type": st.sampled_from(["auto", "any", "tool", "none", "function", "allowed_tools"]), "name": words,
    "disable_parallel_tool_use": st.booleans(), "function": shaped({"name": words}), "allowed_tools": odd,
})  # fmt: skip
anthropic_body = shaped({
    "messages": listed(shaped({
        "role": st.sampled_from(["user", "assistant", "system"]), "content": st.one_of(words, listed(block)),
    }, ("role", "content"))),
    "system": st.one_of(words, listed(block)), "max_tokens": limits, "temperature": shares, "top_p": shares,
    "top_k": limits, "stop_sequences": listed(words), "tools": listed(tool), "tool_choice": choice, "metadata": things,
    "thinking": shaped({"type": st.sampled_from(["enabled", "disabled", "adaptive"]), "budget_tokens": numbers}),
    "service_tier": words, "output_config": shaped({"effort": words, "format": things}), "output_format": things,
    "context_management": things, "mcp_servers": listed(things), "container": texts, "inference_geo": texts,
    "speed": texts,
}, ("messages", "max_tokens"))  # fmt: skip
part = shaped({
    "type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal", "thinking", "new"]), "text": words,
    "image_url": st.one_of(words, shaped({"url": st.sampled_from(["http://x/y.png", "data:image/png;base64,aGk="])})),
    "input_audio": shaped({"data": words, "format": words}), "file": shaped({"file_data": words, "file_id": words}),
    "refusal": words, "cache_control": odd, "thinking": odd,
})  # fmt: skip
call = shaped({
    "id": words, "type": st.sampled_from(["function", "custom"]), "index": numbers,
    "function": shaped({"name": words, "arguments": st.sampled_from(["{}", "", "{", "[]", '{"a":1}', "null"])}),
    "custom": shaped({"name": words, "input": words}), "extra_content": odd,
})  # fmt: skip
chat_body = shaped({
    "messages": listed(shaped({
        "role": st.sampled_from(["user", "assistant", "system", "developer", "tool", "function"]),
        "content": st.one_of(words, listed(part)), "tool_calls": listed(call), "tool_call_id": words, "name": words,
        "function_call": shaped({"name": words, "arguments": words}), "reasoning_content": words, "refusal": words,
        "reasoning_details": listed(things), "audio": things, "reasoning": words,
    }, ("role", "content"))),
    "max_tokens": limits, "max_completion_tokens": limits, "temperature": shares, "top_p": shares, "n": st.just(1),
    "stop": st.one_of(words, listed(words)), "tools": listed(tool), "tool_choice": st.one_of(words, choice),
    "functions": listed(tool), "function_call": st.one_of(words, odd), "parallel_tool_calls": st.booleans(),
    "response_format": shaped({"type": st.sampled_from(["json_object", "json_schema", "text"]),
                               "json_schema": shaped({"name": words, "schema": schema, "strict": st.booleans()})}),
    "reasoning_effort": words, "user": words, "seed": limits, "logit_bias": things, "logprobs": st.booleans(),
    "metadata": things,
    "stream_options": shaped({"include_usage": st.booleans()}), "modalities": listed(words), "prediction": things,
    "store": st.booleans(),
    "service_tier": words, "verbosity": words, "web_search_options": things, "reasoning": things, "thinking": things,
    "safety_identifier": words, "prompt_cache_key": words, "audio": things,
}, ("messages",))  # fmt: skip

BODIES: list[tuple[Dialect, st.SearchStrategy[Json]]] = [(ANTHROPIC_MESSAGES, anthropic_body), (OPENAI_CHAT, chat_body)]
CASES = [(dialect, body, model) for dialect, body in BODIES for model in MODELS]
NAMES = [f"{dialect.name}-to-{model}" for dialect, _, model in CASES]


def prepared(dialect: Dialect, body: Json, model: str) -> tuple[bytes, Answering]:
    """What the gateway makes of a body."""
    call_ = parse_call(orjson.dumps({**body, "model": model}), dialect)
    return prepare(call_, target(model), strict=False, request_id="req_x", created=1)


@pytest.mark.parametrize(("dialect", "bodies", "model"), CASES, ids=NAMES)
@settings(max_examples=120)
@given(data=st.data())
def test_any_body_is_translated_or_the_callers_error(
    dialect: Dialect, bodies: st.SearchStrategy[Json], model: str, data: st.DataObject
) -> None:
    body = data.draw(bodies)
    before = orjson.dumps(body)
    try:
        sent, _ = prepared(dialect, body, model)
    except CallError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(orjson.loads(sent), dict)
    assert orjson.dumps(body) == before
    assert estimate(body) >= 0


usage = shaped({
    "prompt_tokens": numbers, "completion_tokens": numbers, "total_tokens": numbers, "input_tokens": numbers,
    "output_tokens": numbers, "prompt_tokens_details": shaped({"cached_tokens": numbers}), "cost": numbers,
    "completion_tokens_details": shaped({"reasoning_tokens": numbers}), "server_tool_use": odd, "cache_creation": odd,
    "cache_read_input_tokens": numbers, "cache_creation_input_tokens": numbers,
})  # fmt: skip
message = shaped({
    "role": words, "content": st.one_of(words, listed(part)), "tool_calls": listed(call), "refusal": words,
    "reasoning_content": words, "reasoning": words, "reasoning_details": listed(shaped({"type": words, "text": words})),
    "annotations": listed(shaped({"type": words, "url_citation": shaped({"url": words, "start_index": numbers})})),
    "function_call": shaped({"name": words, "arguments": words}), "audio": odd, "images": odd,
})  # fmt: skip
reasons = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "function_call", "error", "new"])
chat_answers = shaped({
    "id": words, "model": words, "created": numbers, "usage": usage, "service_tier": words, "citations": odd,
    "error": odd,
    "choices": listed(shaped({"index": numbers, "message": message, "delta": message, "finish_reason": reasons,
    "text": odd})),
})  # fmt: skip
stops = st.sampled_from(["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal", "pause_turn", "new"])
anthropic_answers = shaped({
    "id": words, "type": words, "role": words, "model": words, "content": listed(block), "stop_reason": stops,
    "stop_sequence": words, "usage": usage, "container": odd, "error": odd,
})  # fmt: skip
anthropic_events = shaped({
    "type": st.sampled_from(["message_start", "content_block_start", "content_block_delta", "content_block_stop",
                             "message_delta", "message_stop", "ping", "error", "new"]),
    "index": st.integers(-1, 3), "message": anthropic_answers, "content_block": block, "usage": usage, "error": odd,
    "delta": shaped({"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "signature_delta",
                                              "citations_delta", "new"]),
                     "text": words, "partial_json": words, "thinking": words, "signature": words, "citation": odd,
                     "stop_reason": stops, "stop_sequence": words}),
})  # fmt: skip

ASKS: dict[Dialect, Json] = {ANTHROPIC_MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
        OPENAI_CHAT: {"messages": [{"role": "user", "content": "hi"}]}}  # fmt: skip
GIVEN = {"chat": (chat_answers, chat_answers), "deepseek": (chat_answers, chat_answers), "gemini": (chat_answers,
    chat_answers),
         "claude": (anthropic_answers, anthropic_events)}  # fmt: skip
ANSWERS = [(dialect, model) for dialect in ASKS for model in GIVEN]
ANSWER_NAMES = [f"{dialect.name}-from-{model}" for dialect, model in ANSWERS]


@pytest.mark.parametrize(("dialect", "model"), ANSWERS, ids=ANSWER_NAMES)
@settings(max_examples=120)
@given(data=st.data())
def test_any_answer_is_translated_or_the_providers_error(dialect: Dialect, model: str, data: st.DataObject) -> None:
    document = data.draw(st.one_of(GIVEN[model][0], odd))
    _, answering = prepared(dialect, ASKS[dialect], model)
    try:
        body = answering.whole(orjson.dumps(document))
    except ProviderError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(orjson.loads(body), dict)


@pytest.mark.parametrize(("dialect", "model"), ANSWERS, ids=ANSWER_NAMES)
@settings(max_examples=120)
@given(data=st.data())
def test_any_stream_is_translated_or_the_providers_error(dialect: Dialect, model: str, data: st.DataObject) -> None:
    chunks = data.draw(st.lists(st.one_of(GIVEN[model][1], odd), max_size=6))
    _, answering = prepared(dialect, {**ASKS[dialect], "stream": True}, model)
    out = b"".join(answering.feed(b"data: %b\n\n" % orjson.dumps(chunk)) for chunk in chunks if answering.fault is None)
    if answering.fault is None:
        out += answering.end()
    if answering.fault is not None:
        assert str(answering.fault)
        out += answering.fail(answering.fault) or b""
    for line in out.splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            orjson.loads(line[6:])


@pytest.mark.parametrize("model", ["chat", "claude"])
@pytest.mark.parametrize("dialect", ASKS, ids=lambda d: d.name)
@pytest.mark.parametrize("what", ["messages", "tools", "blocks", "calls"])
def test_many_of_anything_take_little_time(dialect: Dialect, model: str, what: str) -> None:
    def seconds(count: int) -> float:
        body = _many(what, count, dialect)
        began = time.process_time()
        prepared(dialect, body, model)
        return time.process_time() - began

    assert seconds(19_000) < 3  # what grows with the square takes minutes


def _many(what: str, count: int, dialect: Dialect) -> Json:
    ask: Json = dict(ASKS[dialect])
    if what == "messages":
        return {
            **ask,
            "messages": [{"role": "user" if n % 2 == 0 else "assistant", "content": "x"} for n in range(count)],
        }
    if what == "tools":
        if dialect is ANTHROPIC_MESSAGES:
            return {**ask, "tools": [{"name": f"t{n}", "input_schema": {"type": "object"}} for n in range(count)]}
        return {**ask, "tools": [{"type": "function", "function": {"name": f"t{n}"}} for n in range(count)]}
    if what == "blocks":
        return {**ask, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * count}]}
    if dialect is ANTHROPIC_MESSAGES:
        uses = [{"type": "tool_use", "id": f"t{n}", "name": "a", "input": {}} for n in range(count)]
        results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "x"} for n in range(count)]
        turns: list[Json] = [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    else:
        calls = [
            {"id": f"t{n}", "type": "function", "function": {"name": "a", "arguments": "{}"}} for n in range(count)
        ]
        turns = [{"role": "assistant", "content": None, "tool_calls": calls},
                 *({"role": "tool", "tool_call_id": f"t{n}", "content": "x"} for n in range(count))]  # fmt: skip
    return {**ask, "messages": [*ask["messages"], *turns]}
