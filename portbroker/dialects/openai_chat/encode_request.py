"""A conversation as a Chat Completions body: vanilla, but for what a preset's options say.

The one rule: the conversation is only read. It may be encoded again for the next target, and gives equal bytes then.
"""

from typing import Any, Final

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Conversation, Json, Report
from portbroker.dialects.answer_form import encode_form
from portbroker.dialects.efforts import read_wish
from portbroker.dialects.openai_chat.arrange import arrange
from portbroker.dialects.openai_chat.encode_parts import content_of, text_part
from portbroker.dialects.openai_chat.encode_tools import encode_tools
from portbroker.dialects.openai_chat.encode_turns import TurnEncoder
from portbroker.dialects.openai_chat.pairs import repair_pairs
from portbroker.dialects.openai_chat.reasoning import encode_reasoning
from portbroker.dialects.openai_params import plain_params
from portbroker.dialects.tool_names import ToolNames
from portbroker.fieldmap import Params

_FORMS: Final = frozenset({"output_config", "output_format"})


def encode_request(
    conversation: Conversation, options: Options, params: Params, report: Report
) -> tuple[Json, AnswerContext]:
    """The body for a chat provider, and what translating its answer will need to know."""
    names = ToolNames(options.tool_name_max)
    given = conversation.params
    tools: Json = {}
    if conversation.tools or conversation.tool_choice is not None:
        tools = encode_tools(conversation.tools, conversation.tool_choice, names, options, report)
    form, instruction = (None, None) if _FORMS.isdisjoint(given) else encode_form(given, options, report)
    messages, marks = _messages(conversation, instruction, names, options, report)
    body: Json = {"model": conversation.model, "messages": messages}
    body.update(params(plain_params(given, options), report))
    body.update(tools)
    if form:
        body.update(_format(form))
    body.update(_reasoning(conversation, options, report, with_tools="tools" in tools))
    body.update(marks)
    if conversation.stream:
        body.update(_streaming(options))
    return body, _completed(conversation.answer, names, options)


def _messages(
    conversation: Conversation, instruction: str | None, names: ToolNames, options: Options, report: Report
) -> tuple[list[Json], Json]:
    """All messages, the system prompt first, and the keys that their form adds to the body."""
    turns = TurnEncoder(options, names, conversation.answer.origin, report)
    system = turns.system(conversation.system) if conversation.system else []
    led = turns.led(conversation.turns)
    system += [part for turn in led for part in turns.system(turn.blocks)]
    if instruction:
        system.append(text_part(instruction))
    messages, marks = arrange(repair_pairs(turns.encode(conversation.turns[len(led) :]), report), options, report)
    if system:
        messages.insert(0, {"role": options.system_role, "content": content_of(system)})
    return messages, marks


def _format(form: Json) -> Json:
    """Chat nests what says how a schema is meant."""
    if form["type"] != "json_schema":
        return {"response_format": form}
    named = {key: value for key, value in form.items() if key != "type"}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _reasoning(conversation: Conversation, options: Options, report: Report, *, with_tools: bool) -> Json:
    params = conversation.params
    wish = read_wish(_object(params.get("thinking")), _object(params.get("output_config")), conversation.turns, report)
    return encode_reasoning(wish, options, report, with_tools=with_tools)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _streaming(options: Options) -> Json:
    return {"stream": True, **({"stream_options": {"include_usage": True}} if options.stream_usage else {})}


def _completed(answer: AnswerContext, names: ToolNames, options: Options) -> AnswerContext:
    completed = answer.copy()
    completed.think_tags = options.think_tags
    completed.state = None if options.state == "none" else options.state
    completed.tool_names = {**answer.tool_names, **names.shortened}
    return completed
