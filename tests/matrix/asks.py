"""What a call may hold: how each client says it, and where each provider would read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.providers import Json

A, C, R = "anthropic.messages", "openai.chat", "openai.responses"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
URL = "https://example.com/a.png"
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
USER: Json = {"role": "user", "content": "hi"}
Look = Callable[[Json], Any]


@dataclass(frozen=True)
class Ask:
    """One thing that a call may hold. A dialect that is not in `said` has no word for it.

    `looks` finds it in a provider's body, where it must be `value`; a dialect that is not there has no place for it.
    `instead` finds what stands in for it, with words for that. A `hint` has no effect on what is answered, only on its
    price or speed: it may go without a word.
    """

    name: str
    said: Mapping[str, Json]
    looks: Mapping[str, Look]
    value: Any
    group: str = "text"
    instead: Mapping[str, tuple[Look, str]] = field(default_factory=dict)
    hint: bool = False


def _parts(body: Json, role: str = "user") -> list[Json]:
    """The blocks of all messages of a role, or all items that are no messages, whatever the dialect."""
    turns: list[Json] = body["messages"] if "messages" in body else body["input"]
    contents = [turn["content"] for turn in turns if turn.get("role") == role]
    return [part for content in contents if isinstance(content, list) for part in content]


def _first(parts: list[Json], kind: str) -> Json:
    return next((part for part in parts if part.get("type") == kind), {})


def _items(body: Json, kind: str) -> list[Json]:
    return [item for item in body["input"] if item.get("type") == kind]


def _user(*parts: Json) -> list[Json]:
    return [{"role": "user", "content": list(parts)}]


def _tool(dialect: str, **more: Any) -> Json:
    about = {"name": "weather", "description": "Weather of a city"}
    if dialect == A:
        return {**about, "input_schema": SCHEMA, **more}
    if dialect == R:
        return {"type": "function", **about, "parameters": SCHEMA, **more}
    return {"type": "function", "function": {**about, "parameters": SCHEMA, **more}}


def _tools(extra: Mapping[str, Json] | None = None, **more: Any) -> dict[str, Json]:
    """Each dialect's way to offer a tool, and what else it is to say."""
    return {d: {"tools": [_tool(d, **more)], **(extra or {}).get(d, {})} for d in (A, C, R)}


def _offered(body: Json) -> Json:
    """The first tool that is offered, flat."""
    tool: Json = (body.get("tools") or [{}])[0]
    return {**tool, **tool.get("function", {})}


def _text_of(system: Any) -> str:
    return system if isinstance(system, str) else "".join(block["text"] for block in system or [])


def _history(result: Mapping[str, Any], **more: Any) -> dict[str, Json]:
    """A call that was made and its result, as each client sends both."""
    call = {"id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
    said = '{"city":"Oslo"}'
    return {
        A: {"messages": [
            USER, {"role": "assistant", "content": [{"type": "tool_use", **call}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": result[A], **more}]},
        ], "tools": [_tool(A)]},
        C: {"messages": [
            USER, {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": said}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": result[C]},
        ], "tools": [_tool(C)]},
        R: {"input": [
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": said},
            {"type": "function_call_output", "call_id": "call_1", "output": result[R]},
        ], "tools": [_tool(R)]},
    }  # fmt: skip


def _result(body: Json) -> Any:
    """The result of the call in an Anthropic body."""
    return _first(_parts(body), "tool_result")


def _plain_result(content: Any) -> str:
    return content if isinstance(content, str) else _text_of(content)


def _as_function(body: Json) -> bool:
    tool = _offered(body)
    schema = tool.get("input_schema") or tool.get("parameters") or {}
    return tool.get("name") == "patch" and list(schema.get("properties", {})) == ["input"]


_ANSWERED = dict.fromkeys((A, C, R), "-3 °C")
_SHOWN: dict[str, Any] = {
    A: [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}],
    C: "see the image",
    R: [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
}

ASKS = (
    Ask("system prompt",
        {A: {"system": "Be brief."}, C: {"messages": [{"role": "system", "content": "Be brief."}, USER]},
         R: {"instructions": "Be brief."}},
        {A: lambda b: _text_of(b.get("system")), C: lambda b: b["messages"][0]["content"],
         R: lambda b: b.get("instructions")}, "Be brief."),
    Ask("limit of the answer's length",
        {A: {"max_tokens": 2077}, C: {"max_completion_tokens": 2077}, R: {"max_output_tokens": 2077}},
        {A: lambda b: b.get("max_tokens"), C: lambda b: b.get("max_completion_tokens", b.get("max_tokens")),
         R: lambda b: b.get("max_output_tokens")}, 2077),
    Ask("`temperature`", {d: {"temperature": 0.5} for d in (A, C, R)},
        {d: lambda b: b.get("temperature") for d in (A, C, R)}, 0.5),
    Ask("`top_p`", {d: {"top_p": 0.9} for d in (A, C, R)}, {d: lambda b: b.get("top_p") for d in (A, C, R)}, 0.9),
    Ask("`top_k`", {A: {"top_k": 5}}, {A: lambda b: b.get("top_k")}, 5),
    Ask("`seed`", {C: {"seed": 7}}, {C: lambda b: b.get("seed")}, 7),
    Ask("penalties", {C: {"presence_penalty": 0.5}}, {C: lambda b: b.get("presence_penalty")}, 0.5),
    Ask("stop sequences", {A: {"stop_sequences": ["END"]}, C: {"stop": ["END"]}},
        {A: lambda b: b.get("stop_sequences"), C: lambda b: b.get("stop")}, ["END"]),
    Ask("several answers at once", {C: {"n": 2}}, {C: lambda b: b.get("n")}, 2,
        instead={d: (lambda b: "n" not in b, "to one answer") for d in (A, R)}),
    Ask("probabilities of tokens", {C: {"logprobs": True}, R: {"include": ["message.output_text.logprobs"]}},
        {C: lambda b: b.get("logprobs"), R: lambda b: "message.output_text.logprobs" in b.get("include", [])}, True),
    Ask("who the end user is",
        {A: {"metadata": {"user_id": "u-1"}}, C: {"user": "u-1"}, R: {"safety_identifier": "u-1"}},
        {A: lambda b: b.get("metadata", {}).get("user_id"), C: lambda b: b.get("safety_identifier", b.get("user")),
         R: lambda b: b.get("safety_identifier", b.get("user"))}, "u-1"),
    Ask("beginning of the answer, to be continued",
        {A: {"messages": [USER, {"role": "assistant", "content": "{"}]},
         C: {"messages": [USER, {"role": "assistant", "content": "{"}]}},
        {d: lambda b: b["messages"][-1]["role"] for d in (A, C)}, "assistant",
        instead={A: (lambda b: b["messages"][-1]["content"] == "Continue.", "as a turn to be continued"),
                 R: (lambda b: b["input"][-1]["role"] == "assistant", "as an earlier turn")}),
    Ask("marks for the prompt cache",
        {A: {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]}},
        {A: lambda b: "cache_control" in b["system"][-1]}, True, hint=True),
    Ask("key for the prompt cache", {d: {"prompt_cache_key": "k"} for d in (C, R)},
        {d: lambda b: b.get("prompt_cache_key") for d in (C, R)}, "k", hint=True),
    Ask("offered tools", _tools(), {d: lambda b: (_offered(b).get("name"), _offered(b).get("description"),
        (_offered(b).get("input_schema") or _offered(b).get("parameters") or {}).get("properties")) for d in (A, C, R)},
        ("weather", "Weather of a city", SCHEMA["properties"]), "tools"),
    Ask("arguments held strictly to the schema", _tools(strict=True),
        {d: lambda b: _offered(b).get("strict") for d in (A, C, R)}, True, "tools"),
    Ask("which tool must be called",
        _tools({A: {"tool_choice": {"type": "tool", "name": "weather"}},
                C: {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
                R: {"tool_choice": {"type": "function", "name": "weather"}}}),
        {A: lambda b: b.get("tool_choice", {}).get("name"),
         C: lambda b: b.get("tool_choice", {}).get("function", {}).get("name"),
         R: lambda b: b.get("tool_choice", {}).get("name")}, "weather", "tools"),
    Ask("one call at a time",
        _tools({A: {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
                C: {"parallel_tool_calls": False}, R: {"parallel_tool_calls": False}}),
        {A: lambda b: not b.get("tool_choice", {}).get("disable_parallel_tool_use"),
         C: lambda b: b.get("parallel_tool_calls"), R: lambda b: b.get("parallel_tool_calls")}, False, "tools"),
    Ask("calls and their results", _history(_ANSWERED),
        {A: lambda b: _plain_result(_result(b)["content"]), C: lambda b: b["messages"][-1]["content"],
         R: lambda b: _plain_result(_items(b, "function_call_output")[0]["output"])}, "-3 °C", "tools"),
    Ask("that a call failed", {A: _history(_ANSWERED, is_error=True)[A]},
        {A: lambda b: _result(b).get("is_error")}, True, "tools",
        instead={C: (lambda b: b["messages"][-1]["content"] == "Error: -3 °C", "as words before the result"),
                 R: (lambda b: b["input"][-1]["output"] == "Error: -3 °C", "as words before the result")}),
    Ask("an image as a result", {d: said for d, said in _history(_SHOWN).items() if d != C},
        {d: lambda b: PNG in str(b) for d in (A, C, R)}, True, "tools"),
    Ask("tools that take free text", {C: {"tools": [{"type": "custom", "custom": {"name": "patch"}}]},
                                      R: {"tools": [{"type": "custom", "name": "patch"}]}},
        {C: lambda b: _offered(b).get("custom", {}).get("name"),
         R: lambda b: b["tools"][0]["name"] if b["tools"][0]["type"] == "custom" else None}, "patch", "tools",
        instead=dict.fromkeys((A, C), (_as_function, "as a function of one text"))),
    Ask("web search by the provider",
        {A: {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, C: {"web_search_options": {}},
         R: {"tools": [{"type": "web_search"}]}},
        {A: lambda b: _offered(b).get("name"), C: lambda b: "web_search" if "web_search_options" in b else None,
         R: lambda b: _offered(b).get("type")}, "web_search", "tools"),
    Ask("how hard to think",
        {A: {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, C: {"reasoning_effort": "high"},
         R: {"reasoning": {"effort": "high"}}},
        {A: lambda b: b.get("output_config", {}).get("effort"), C: lambda b: b.get("reasoning_effort"),
         R: lambda b: b.get("reasoning", {}).get("effort")}, "high", "thinking"),
    Ask("how many tokens to think with",
        {A: {"thinking": {"type": "enabled", "budget_tokens": 1500}}},
        {A: lambda b: b.get("thinking", {}).get("budget_tokens")}, 1500, "thinking",
        instead={C: (lambda b: b.get("reasoning_effort") == "low", "as an effort"),
                 R: (lambda b: b.get("reasoning", {}).get("effort") == "low", "as an effort")}),
    Ask("to be shown the thinking",
        {A: {"thinking": {"type": "adaptive", "display": "summarized"}},
         R: {"reasoning": {"effort": "high", "summary": "auto"}}},
        {A: lambda b: b.get("thinking", {}).get("display") == "summarized",
         R: lambda b: bool(b.get("reasoning", {}).get("summary"))}, True, "thinking", hint=True),
    Ask("image in the call",
        {A: {"messages": _user({"type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": PNG}})},
         C: {"messages": _user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})},
         R: {"input": _user({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})}},
        {A: lambda b: _first(_parts(b), "image").get("source", {}).get("data") == PNG,
         C: lambda b: PNG in _first(_parts(b), "image_url").get("image_url", {}).get("url", ""),
         R: lambda b: PNG in _first(_parts(b), "input_image").get("image_url", "")}, True, "images"),
    Ask("image by its URL",
        {A: {"messages": _user({"type": "image", "source": {"type": "url", "url": URL}})},
         C: {"messages": _user({"type": "image_url", "image_url": {"url": URL}})},
         R: {"input": _user({"type": "input_image", "image_url": URL})}},
        {A: lambda b: _first(_parts(b), "image").get("source", {}).get("url"),
         C: lambda b: _first(_parts(b), "image_url").get("image_url", {}).get("url"),
         R: lambda b: _first(_parts(b), "input_image").get("image_url")}, URL, "images"),
    Ask("PDF in the call",
        {A: {"messages": _user({"type": "document", "title": "a.pdf",
                                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}})},
         C: {"messages": _user({"type": "file", "file": {"filename": "a.pdf",
                                                         "file_data": f"data:application/pdf;base64,{PDF}"}})},
         R: {"input": _user({"type": "input_file", "filename": "a.pdf",
                             "file_data": f"data:application/pdf;base64,{PDF}"})}},
        {A: lambda b: _first(_parts(b), "document").get("source", {}).get("data") == PDF,
         C: lambda b: PDF in _first(_parts(b), "file").get("file", {}).get("file_data", ""),
         R: lambda b: PDF in _first(_parts(b), "input_file").get("file_data", "")}, True, "images"),
    Ask("answer in JSON of a schema",
        {A: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
         C: {"response_format": {"type": "json_schema",
                                 "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}}},
         R: {"text": {"format": {"type": "json_schema", "name": "city", "strict": True, "schema": SCHEMA}}}},
        {A: lambda b: b.get("output_config", {}).get("format", {}).get("schema"),
         C: lambda b: b.get("response_format", {}).get("json_schema", {}).get("schema"),
         R: lambda b: b.get("text", {}).get("format", {}).get("schema")}, SCHEMA, "structured output"),
    Ask("answer in any JSON",
        {C: {"response_format": {"type": "json_object"}}, R: {"text": {"format": {"type": "json_object"}}}},
        {C: lambda b: b.get("response_format", {}).get("type"),
         R: lambda b: b.get("text", {}).get("format", {}).get("type")}, "json_object", "structured output",
        instead={A: (lambda b: "valid JSON" in _text_of(b["system"]), "as words in the system prompt")}),
)  # fmt: skip
"""All that is looked at."""


def body_of(ask: Ask, dialect: str) -> Json:
    """A call of this dialect that holds it."""
    plain: Json = {"model": "m", "input": [USER]} if dialect == R else {"model": "m", "messages": [USER]}
    if dialect == A:
        plain["max_tokens"] = 2000
    return {**plain, **ask.said[dialect]}
