"""The results of tool calls as the text of a tool message, and what must leave it.

The one rule: a tool message holds text only; images and files follow in the next user message.
"""

from typing import Any, Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.openai_chat.encode_parts import cache_mark, compact, encode_block, text_part

MOVED: Final = "(attachment in the next user message)"


def encode_result(block: Block, options: Options, report: Report) -> tuple[Json, list[Json]]:
    """The tool message of a `tool_result` and the parts that the following user message must begin with."""
    data = block.data
    text, attachments = _text(data, block.path, options, report)
    mark = cache_mark(data, options)
    content = [{**text_part(text), **mark}] if mark and text else text
    call = data["tool_use_id"]
    if attachments:
        attachments.insert(0, text_part(f"Attachment from tool result {call}:"))
    return {"role": "tool", "tool_call_id": call, "content": content}, attachments


def encode_server_result(block: Block) -> Json:
    """The tool message of what a provider's own tool gave back."""
    data = block.data
    text = _rendered(data.get("content"), f"{block.path}.content")
    return {
        "role": "tool",
        "tool_call_id": data["tool_use_id"],
        "content": _failed(text) if data.get("is_error") is True else text,
    }


def _text(data: Json, path: str, options: Options, report: Report) -> tuple[str, list[Json]]:
    content = data.get("content")
    texts: list[str] = []
    attachments: list[Json] = []
    if isinstance(content, str):
        texts.append(content)
    else:
        for index, inner in enumerate(content or ()):
            for part in _inner(inner, f"{path}.content[{index}]", options, report):
                if part["type"] == "text":
                    texts.append(part["text"])
                else:
                    texts.append(MOVED)
                    attachments.append(part)
    text = "\n\n".join(texts)
    return _failed(text) if data.get("is_error") else text, attachments


def _inner(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """The parts of one block inside a result."""
    if data["type"] == "tool_reference":
        return [text_part(_reference(data))]
    if data["type"] == "browser_state":
        return [text_part(compact({key: data[key] for key in data if key != "cache_control"}, path))]
    return encode_block(data, path, options, report)


def _failed(text: str) -> str:
    """A result that says in words that it is an error: chat has no flag for it."""
    if not text.strip():
        return "Error"
    return text if text.lstrip().lower().startswith(("error", "<tool_use_error")) else f"Error: {text}"


def _reference(data: Json) -> str:
    return f"Tool available: {data.get('tool_name')}"


def _rendered(content: Any, path: str) -> str:
    """What a server tool's result says. Its forms are many and new ones come: an unknown one is shown as JSON."""
    if isinstance(content, list):
        return "\n".join(_item(item, path) for item in content)
    return "" if content is None else _item(content, path)


def _item(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, dict):
        return compact(content, path)
    kind = content.get("type")
    if isinstance(content.get("error_code"), str):
        return f"Error: {content['error_code']}"
    if isinstance(kind, str) and kind in _FORMS:
        return _FORMS[kind](content, path)
    if isinstance(content.get("stdout"), str):
        return _output(content)
    shown = content.get("text")
    return shown if isinstance(shown, str) else _as_json(content, path)


def _search_hit(hit: Json, path: str) -> str:
    return f"{hit.get('title')} - {hit.get('url')}"


def _fetched(page: Json, path: str) -> str:
    """A fetched page: its address and, where it is text, what stood there."""
    document = page.get("content")
    source = document.get("source") if isinstance(document, dict) else None
    text = source.get("data") if isinstance(source, dict) and source.get("type") == "text" else None
    return f"{page.get('url')}\n{text}" if isinstance(text, str) else str(page.get("url"))


def _found_tools(found: Json, path: str) -> str:
    references = found.get("tool_references")
    listed = references if isinstance(references, list) else []
    return "\n".join(_reference(one) for one in listed if isinstance(one, dict))


def _output(content: Json) -> str:
    """What a program printed, and its exit code where it failed."""
    printed = [content.get("stdout"), content.get("stderr")]
    lines = [text for text in printed if isinstance(text, str) and text]
    code = content.get("return_code")
    return "\n".join([*lines, f"(exit code {code})"] if code else lines)


def _file(content: Json, path: str) -> str:
    return str(content.get("content"))


def _as_json(content: Json, path: str) -> str:
    """A form that is not known here, without what only its maker can read."""
    return compact({key: value for key, value in content.items() if not key.startswith("encrypted_")}, path)


_FORMS: Final = {
    "web_search_result": _search_hit,
    "web_fetch_result": _fetched,
    "tool_search_tool_search_result": _found_tools,
    "text_editor_code_execution_view_result": _file,
}
