"""The canonical conversation as the body of an Anthropic Messages call.

The one rule: the body is made of new dicts and lists around the conversation's own blocks, so that the conversation can
be encoded again for the next target.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

import orjson

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Block, Conversation, Json, Report
from portbroker.dialects.anthropic_messages.encode_blocks import encode_block
from portbroker.dialects.anthropic_messages.encode_marks import limit_marks
from portbroker.dialects.anthropic_messages.encode_thinking import encode_thinking
from portbroker.dialects.anthropic_messages.encode_tools import Names, encode_choice, encode_tools, is_forced, legalise
from portbroker.dialects.anthropic_messages.encode_turns import encode_turns
from portbroker.fieldmap import Params

JSON_LINE = "Respond with one valid JSON object and nothing else."
SCHEMA_LINE = "Respond with one JSON value that satisfies this JSON Schema, and nothing else:\n"


def encode_request(
    conversation: Conversation, options: Options, params: Params, report: Report
) -> tuple[Json, AnswerContext]:
    """The body, and what reading its answer needs. `params` leaves what Anthropic takes of the parameters."""
    names = Names()
    led = list(takewhile(lambda turn: turn.role == "system", conversation.turns))
    messages = encode_turns(conversation.turns[len(led) :], options, report)
    tools = encode_tools(conversation.tools, names)
    choice = encode_choice(conversation.tool_choice, bool(tools), names, options, report)
    legalise(messages, names)

    scalars = _scalars(conversation.params, options, report)
    thought = encode_thinking(scalars, is_forced(choice), messages, options, report)
    form, line = _form(scalars, options, report)
    prompt = [*conversation.system, *(block for turn in led for block in turn.blocks)]
    parts = {
        "system": _system(prompt, line, options, report),
        "messages": messages,
        "tools": tools,
        "tool_choice": choice,
        "stream": conversation.stream,
    }
    body = {"model": conversation.model, **{key: value for key, value in parts.items() if value}}
    body |= params(_decided(scalars, thought, form), report)
    limit_marks(body)
    return body, replace(conversation.answer, tool_names={**conversation.answer.tool_names, **names.originals})


def _scalars(params: Json, options: Options, report: Report) -> Json:
    """The parameters by their canonical names, with those that Anthropic demands, without what only we know."""
    scalars = {key: value for key, value in params.items() if key[:1] != "_"}
    scalars.setdefault("max_tokens", options.default_max_tokens)
    stops = scalars.pop("stop_sequences", [])
    kept = [stop for stop in stops if stop.strip()]
    if len(kept) < len(stops):
        report.add("dropped", "stop_sequences")
    return {**scalars, "stop_sequences": kept} if kept else scalars


def _form(scalars: Json, options: Options, report: Report) -> tuple[Json | None, str]:
    """The form of the answer: as Anthropic takes it, or as a line of the system prompt."""
    form = (scalars.get("output_config") or {}).get("format")
    if form is None:
        return None, ""
    if form["type"] == "json_schema" and options.structured:
        return {"type": "json_schema", "schema": form["schema"]}, ""
    report.add("degraded", "output_config.format")
    if form["type"] == "json_schema":
        return None, SCHEMA_LINE + orjson.dumps(form["schema"]).decode()
    return None, JSON_LINE


def _decided(scalars: Json, thought: Json, form: Json | None) -> Json:
    """The parameters with `thinking` and `output_config` as they are to be sent."""
    wanted = {**(scalars.get("output_config") or {}), "effort": thought.get("effort"), "format": form}
    config = {key: value for key, value in wanted.items() if value is not None}
    decided = {key: value for key, value in scalars.items() if key not in ("thinking", "output_config")}
    if config:
        decided["output_config"] = config
    if "thinking" in thought:
        decided["thinking"] = thought["thinking"]
    return decided


def _system(blocks: Iterable[Block], line: str, options: Options, report: Report) -> str | list[Json]:
    """The system prompt: one string, or blocks where one of them bears a cache mark."""
    said: list[Json] = [data for block in blocks if (data := _text_only(block, options, report))]
    if line:
        said.append({"type": "text", "text": line})
    if any("cache_control" in data for data in said):
        return said
    return "\n\n".join(data["text"] for data in said)


def _text_only(block: Block, options: Options, report: Report) -> Json | None:
    if block.kind == "text":
        return encode_block(block, "user", options, report)
    report.add("dropped", block.path)
    return None
