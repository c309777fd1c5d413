"""A Responses client's body to the canonical conversation.

The one rule: a scalar takes Anthropic's name where Anthropic has one; every other keeps the name and value that the
client gave it, so that a target may still know it.
"""

from portbroker.conversation import AnswerContext, Block, Conversation, Json, Report
from portbroker.dialects.asked import form_kind, present, schema_form, tier_params, user_params
from portbroker.dialects.openai_responses.decode_items import Items
from portbroker.dialects.openai_responses.decode_tools import Tools
from portbroker.dialects.openai_responses.stored import refuse_unheld
from portbroker.dialects.reading import (
    object_in,
    optional_count,
    optional_flag,
    optional_list,
    optional_number,
    optional_text,
    refuse,
    text_in,
)

# Read below and elsewhere, or of no meaning to any provider but OpenAI and without effect on what is said.
_READ = frozenset({
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "stream", "max_output_tokens",
    "temperature", "top_p", "reasoning", "text", "user", "safety_identifier", "metadata", "service_tier", "include",
    "previous_response_id", "conversation", "background", "background_options", "prompt", "store", "truncation",
    "stream_options", "max_tool_calls", "context_management", "moderation", "client_metadata", "top_logprobs",
    "access_programs", "image",
})  # fmt: skip
# Words that a Responses body does not have: they must not pass for canonical ones, nor keys with an underscore
# for ours.
_TAKEN = frozenset({"stop_sequences", "output_config", "thinking", "max_tokens"})

_NAMES = {
    "max_tokens": "max_output_tokens",
    "thinking": "reasoning",
    "reasoning_effort": "reasoning.effort",
    "output_config.effort": "reasoning.effort",
    "output_config.format": "text.format",
    "verbosity": "text.verbosity",
}
"""What the client calls what has another name in canonical form."""

_ECHOED = (
    "instructions", "metadata", "temperature", "top_p", "max_output_tokens", "previous_response_id", "tools",
    "tool_choice", "parallel_tool_calls", "truncation", "text",
)  # fmt: skip
_ENCRYPTED = "reasoning.encrypted_content"


def decode_request(body: Json, report: Report) -> Conversation:
    """The conversation of a Responses body. Raises `CallError` with `param` for what cannot be read or honoured."""
    model = text_in(body.get("model"), "model") or refuse("model", "a model name")
    refuse_unheld(body)
    tools = Tools(report)
    tools.add(body.get("tools"), "tools")
    items = Items(tools, report)
    items.read(body.get("input"))
    choice = tools.choose(body)
    return Conversation(
        model=model,
        system=_instructions(body),
        turns=items.turns,
        tools=tools.offered,
        tool_choice=choice,
        params=_params(body, report),
        stream=optional_flag(body, "stream") or False,
        answer=_answer(body, model, tools),
    )


def _instructions(body: Json) -> list[Block]:
    text = optional_text(body, "instructions")
    return [Block({"type": "text", "text": text}, "instructions")] if text and text.strip() else []


def _params(body: Json, report: Report) -> Json:
    params = {}
    for key, value in body.items():
        if key in _TAKEN or key[:1] == "_":
            report.add("dropped", key)
        elif key not in _READ and value is not None:
            params[key] = value
    if body.get("top_logprobs"):
        report.add("dropped", "top_logprobs")
    for index, wanted in enumerate(optional_list(body.get("include"), "include")):
        if wanted != _ENCRYPTED:
            report.add("dropped", f"include[{index}]")
    params |= present(
        max_tokens=optional_count(body, "max_output_tokens"),
        temperature=optional_number(body, "temperature"),
        top_p=optional_number(body, "top_p"),
    )
    params |= user_params(body) | tier_params(body) | _output(body)
    params["_names"] = _NAMES
    return params


def _output(body: Json) -> Json:
    """`thinking` and `output_config`, from how hard to think and what to answer with."""
    reasoning = _object(body, "reasoning")
    effort = reasoning.get("effort")
    text = _object(body, "text")
    config = present(effort=effort if effort != "none" else None, format=_format(text.get("format")))
    params: Json = {"output_config": config} if config else {}
    if effort and text_in(effort, "reasoning.effort"):
        shown: Json = {"display": "summarized"} if _shown(reasoning) else {}
        params["thinking"] = {"type": "disabled"} if effort == "none" else {"type": "adaptive", **shown}
    if text.get("verbosity") is not None:
        params["verbosity"] = text_in(text["verbosity"], "text.verbosity")
    return params


def _object(body: Json, key: str) -> Json:
    value = body.get(key)
    return {} if value is None else object_in(value, key)


def _format(value: object) -> Json | None:
    """The wanted form of the answer; `json_object` has no schema, and Anthropic has no such form."""
    form, kind = form_kind(value, "text.format")
    if kind == "json_schema":
        return schema_form(form, "text.format")
    return {"type": kind} if kind == "json_object" else None


def _answer(body: Json, model: str, tools: Tools) -> AnswerContext:
    """What the body says about the answer. Nobody reads thinking that is neither shown nor to be sent back."""
    reasoning = _object(body, "reasoning")
    shown = _shown(reasoning)
    encrypted = _ENCRYPTED in optional_list(body.get("include"), "include")
    return AnswerContext(
        request_model=model,
        thinking_requested=shown or encrypted,
        thinking_hidden=not shown,
        custom_tools=frozenset(name for name, tool in tools.names.map.items() if tool["kind"] == "custom"),
        tool_map=tools.names.map,
        include_usage=_object(body, "stream_options").get("include_usage") is True,
        encrypted=encrypted,
        echo=_echo(body, reasoning),
    )


def _shown(reasoning: Json) -> bool:
    """Whether the client wants to see what the model thinks."""
    return (reasoning.get("summary") or reasoning.get("generate_summary")) not in (None, "none")


def _echo(body: Json, reasoning: Json) -> Json:
    echo = {key: body[key] for key in _ECHOED if body.get(key) is not None}
    if reasoning:
        echo["reasoning"] = {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")}
    return echo
