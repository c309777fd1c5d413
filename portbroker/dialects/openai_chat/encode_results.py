"""The results of tool calls as the text of a tool message, and what must leave it.

The one rule: a tool message holds text only; images and files follow in the next user message.
"""

from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.openai_chat.encode_parts import cache_mark, encode_block, text_part
from portbroker.dialects.results import failed, reference, rendered
from portbroker.dialects.written import compact

MOVED: Final = "(attachment in the next user message)"


def encode_result(block: Block, options: Options, report: Report) -> tuple[Json, list[Json]]:
    """The tool message of a `tool_result` and the parts that the following user message must begin with."""
    data = block.data
    text, attachments = data.get("content"), _NOTHING
    if not isinstance(text, str):
        text, attachments = _text(text, block.path, options, report)
    if data.get("is_error"):
        text = failed(text)
    content: str | list[Json] = text
    if text and options.cache != "none" and (mark := cache_mark(data, options)):
        content = [{**text_part(text), **mark}]
    call = data["tool_use_id"]
    if attachments:
        attachments = [text_part(f"Attachment from tool result {call}:"), *attachments]
    return {"role": "tool", "tool_call_id": call, "content": content}, attachments


_NOTHING: Final[list[Json]] = []


def encode_server_result(block: Block) -> Json:
    """The tool message of what a provider's own tool gave back."""
    data = block.data
    text = rendered(data.get("content"), f"{block.path}.content")
    return {
        "role": "tool",
        "tool_call_id": data["tool_use_id"],
        "content": failed(text) if data.get("is_error") is True else text,
    }


def _text(content: list[Json] | None, path: str, options: Options, report: Report) -> tuple[str, list[Json]]:
    texts: list[str] = []
    attachments: list[Json] = []
    for index, inner in enumerate(content or ()):
        for part in _inner(inner, f"{path}.content[{index}]", options, report):
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                texts.append(MOVED)
                attachments.append(part)
    return "\n\n".join(texts), attachments


def _inner(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """The parts of one block inside a result."""
    if data["type"] == "tool_reference":
        return [text_part(reference(data))]
    if data["type"] == "browser_state":
        return [text_part(compact({key: data[key] for key in data if key != "cache_control"}, path))]
    return encode_block(data, path, options, report)
