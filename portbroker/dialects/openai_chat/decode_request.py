"""A chat client's body to the canonical conversation.

The one rule: a scalar takes Anthropic's name where Anthropic has one; every other keeps the name and value that the
client gave it, so that a target may still know it. What only exact replay needs begins with an underscore.
"""

from portbroker.conversation import AnswerContext, Conversation, Json, Report
from portbroker.dialects.asked import form_kind, present, schema_form, tier_params, user_params
from portbroker.dialects.openai_chat.decode_messages import decode_messages
from portbroker.dialects.openai_chat.decode_tools import decode_tools
from portbroker.dialects.reading import (
    list_in,
    object_in,
    optional_count,
    optional_flag,
    optional_number,
    optional_text,
    refuse,
    text_in,
)

# Read below, by the decoders of messages and tools, or meant for the gateway.
_READ = frozenset({
    "model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
    "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature", "top_p",
    "reasoning_effort", "response_format", "user", "safety_identifier", "metadata", "service_tier",
})  # fmt: skip
# Words that a chat body does not have: they must not pass for canonical ones, nor keys with an underscore for ours.
_TAKEN = frozenset({"stop_sequences", "output_config"})


def decode_request(body: Json, report: Report) -> Conversation:
    """The conversation of a chat body. Raises `CallError` with `param` for what cannot be read."""
    model = text_in(body.get("model"), "model") or refuse("model", "a model name")
    messages = decode_messages(body.get("messages"), report)
    tools = decode_tools(body, report)
    stops = _stops(body)
    return Conversation(
        model=model,
        system=messages.system,
        turns=messages.turns,
        tools=tools.offered,
        tool_choice=tools.choice,
        params=_params(body, stops, tools.choice_path, report),
        stream=optional_flag(body, "stream") or False,
        answer=AnswerContext(
            request_model=model,
            stop_sequences=tuple(stops),
            custom_tools=tools.custom,
            include_usage=_include_usage(body),
        ),
    )


def _params(body: Json, stops: list[str], choice_path: str, report: Report) -> Json:
    params = {}
    for key, value in body.items():
        if key in _TAKEN or key[:1] == "_":
            report.add("dropped", key)
        elif key not in _READ and value is not None:
            params[key] = value
    params |= present(
        max_tokens=_limit(body),
        stop_sequences=stops or None,
        temperature=optional_number(body, "temperature"),
        top_p=optional_number(body, "top_p"),
    )
    params |= user_params(body) | tier_params(body) | _output(body)
    params["_names"] = {
        "stop_sequences": "stop",
        "output_config.format": "response_format",
        "tool_choice": choice_path,
    }
    optional_count(body, "n")
    return params


def _limit(body: Json) -> int | None:
    limit, older = optional_count(body, "max_completion_tokens"), optional_count(body, "max_tokens")
    return older if limit is None else limit


def _stops(body: Json) -> list[str]:
    value = body.get("stop")
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    return [text_in(stop, f"stop[{index}]") for index, stop in enumerate(list_in(value, "stop"))]


def _output(body: Json) -> Json:
    """`thinking` and `output_config`, from how hard to think and what to answer with."""
    effort = optional_text(body, "reasoning_effort")
    config = present(effort=effort if effort != "none" else None, format=_format(body))
    params: Json = {"output_config": config} if config else {}
    if effort:
        params["thinking"] = {"type": "disabled" if effort == "none" else "adaptive"}
    return params


def _format(body: Json) -> Json | None:
    """The wanted form of the answer; `json_object` has no schema, and Anthropic has no such form."""
    form, kind = form_kind(body.get("response_format"), "response_format")
    if kind == "text":
        return None
    path = "response_format.json_schema"
    named = object_in(form.get("json_schema"), path) if kind == "json_schema" else {}
    return {"type": "json_object"} if named.get("schema") is None else schema_form(named, path)


def _include_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return options is not None and object_in(options, "stream_options").get("include_usage") is True
