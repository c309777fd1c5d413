"""A conversation as the body of a Responses call.

The one rule: nothing is kept at the provider (`store: false`); what the model needs of its earlier reasoning travels
encrypted with the conversation.
"""

from typing import Any

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Block, Conversation, Json, Report
from portbroker.dialects.answer_form import encode_form
from portbroker.dialects.efforts import asked_effort, read_wish
from portbroker.dialects.openai_params import plain_params
from portbroker.dialects.openai_responses.encode_items import ItemEncoder
from portbroker.dialects.openai_responses.encode_tools import encode_tools
from portbroker.dialects.tool_names import ToolNames
from portbroker.fieldmap import Params


def encode_request(
    conversation: Conversation, options: Options, params: Params, report: Report
) -> tuple[Json, AnswerContext]:
    """The body for a Responses provider, and what translating its answer will need to know."""
    names = ToolNames(options.tool_name_max)
    tools = encode_tools(conversation.tools, conversation.tool_choice, names, options, report)
    form, line = encode_form(conversation.params, options, report)
    items = ItemEncoder(options, names, conversation.answer.origin, report).encode(conversation.turns)
    body: Json = {"model": conversation.model, "input": items}
    if instructions := _instructions(conversation.system, line, report):
        body["instructions"] = instructions
    body |= params(plain_params(conversation.params, options), report)
    body |= tools
    if form:
        body["text"] = {**body.get("text", {}), "format": form}
    if reasoning := _reasoning(conversation, options, report):
        body["reasoning"] = reasoning
    body |= {"include": ["reasoning.encrypted_content"], "store": False}
    if conversation.stream:
        body["stream"] = True
    return body, _completed(conversation.answer, names)


def _instructions(blocks: list[Block], line: str | None, report: Report) -> str:
    texts = []
    for block in blocks:
        if block.kind == "text":
            texts.append(block.data["text"])
        else:
            report.add("dropped", block.path)
    return "\n\n".join(text for text in (*texts, line or "") if text.strip())


def _reasoning(conversation: Conversation, options: Options, report: Report) -> Json:
    """How hard to think, and a summary of it for a client that shows one."""
    params = conversation.params
    wish = read_wish(_object(params.get("thinking")), _object(params.get("output_config")), conversation.turns, report)
    if wish.silent:
        return {}
    effort = asked_effort(wish, options, report)
    reasoning: Json = {"effort": effort} if effort else {}
    answer = conversation.answer
    if wish.thinks and answer.thinking_requested and not (answer.thinking_omitted or answer.thinking_hidden):
        reasoning["summary"] = "auto"
    return reasoning


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _completed(answer: AnswerContext, names: ToolNames) -> AnswerContext:
    completed = answer.copy()
    completed.tool_names = {**answer.tool_names, **names.shortened}
    return completed
