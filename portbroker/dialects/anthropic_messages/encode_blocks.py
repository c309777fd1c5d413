"""Canonical blocks as an Anthropic endpoint takes them, or a line of text for what it cannot take.

The one rule: a block is never changed, only replaced; what weighs most, the data of pictures, is never copied.
"""

from typing import Any

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.envelope import is_ours

_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_OMITTED = "[{kind} omitted: {why}]"


def encode_block(block: Block, role: str, options: Options, report: Report) -> Json | None:
    """The block for a turn of that role; None when nothing of it is left, which is reported where it matters."""
    data = block.data
    encode = (_ASSISTANT if role == "assistant" else _USER).get(data["type"])
    if encode is None:
        report.add("dropped", block.path)
        return None
    return encode(data, block.path, options, report)


def is_plain(block: Json) -> bool:
    """Whether a block is text and nothing else, so that a string says the same."""
    return block["type"] == "text" and len(block) == 2


def text_block(text: str, mark: object = None) -> Json:
    block: Json = {"type": "text", "text": text}
    return {**block, "cache_control": mark} if mark else block


def _known(data: Json) -> Json:
    """The block without what only the gateway knows."""
    return (
        {key: value for key, value in data.items() if key[:1] != "_"} if any(key[:1] == "_" for key in data) else data
    )


def _omit(kind: str, why: str, path: str, report: Report) -> Json:
    report.add("dropped", path)
    return text_block(_OMITTED.format(kind=kind, why=why))


def _text(data: Json, path: str, options: Options, report: Report) -> Json | None:
    """Text without citations: those of a user are refused since 2026-10-21. Anthropic refuses blank text."""
    if not data["text"].strip():
        return None
    if "_audio" in data:
        report.add("dropped", path)
    return text_block(data["text"], data.get("cache_control"))


def _said(data: Json, path: str, options: Options, report: Report) -> Json | None:
    """The model's text, its citations kept but for those that the gateway made up."""
    text = _text(data, path, options, report)
    citations = genuine(data.get("citations") or [])
    return {**text, "citations": citations} if text and citations else text


def genuine(citations: list[Any]) -> list[Any]:
    """The citations that Anthropic itself gave: one without an index came from another provider."""
    return [c for c in citations if not isinstance(c, dict) or c.get("encrypted_index") != ""]


def _image(data: Json, path: str, options: Options, report: Report) -> Json:
    source = data["source"]
    if not options.vision:
        return _omit("image", "this model does not accept images", path, report)
    if source["type"] == "file":
        return _omit("image", f"file {source.get('file_id')} is not available to this provider", path, report)
    if source["type"] == "base64" and source["media_type"] not in _PICTURES:
        return _omit("image", f"{source['media_type']} is not accepted by this provider", path, report)
    return _known(data)


def _document(data: Json, path: str, options: Options, report: Report) -> Json:
    source = data["source"]
    if source["type"] == "file":
        return _omit("document", f"{source.get('file_id')} could not be passed to this provider", path, report)
    if source["type"] == "base64" and source["media_type"] != "application/pdf":
        return _omit("document", f"{source['media_type']} is not accepted by this provider", path, report)
    return _known(data)


def _result(data: Json, path: str, options: Options, report: Report) -> Json:
    result = _known(data)
    content = result.get("content")
    if isinstance(content, list):
        content = _inner(content, path, options, report)
    result = {key: value for key, value in result.items() if key != "content"}
    return {**result, "content": content} if content and (not isinstance(content, str) or content.strip()) else result


def _inner(content: list[Json], path: str, options: Options, report: Report) -> list[Json] | str:
    """What a result holds; a single text as a string."""
    kept = []
    for index, data in enumerate(content):
        encode = _USER.get(data["type"]) if data["type"] != "tool_result" else None
        if encode is None:
            report.add("dropped", f"{path}.content[{index}]")
        elif block := encode(data, f"{path}.content[{index}]", options, report):
            kept.append(block)
    return kept[0]["text"] if len(kept) == 1 and is_plain(kept[0]) else kept


def _search_result(data: Json, path: str, options: Options, report: Report) -> Json:
    return _known(data)


def _tool_use(data: Json, path: str, options: Options, report: Report) -> Json:
    return _known(data)


def _thinking(data: Json, path: str, options: Options, report: Report) -> Json | None:
    """Thinking that Anthropic signed. Any other would be refused, and nobody asked for it back: silent."""
    signed = data.get("signature") if data["type"] == "thinking" else data.get("data")
    return _known(data) if signed and not is_ours(data) else None


_USER = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_result": _result,
    "search_result": _search_result,
}
_ASSISTANT = {
    "text": _said,
    "tool_use": _tool_use,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
}
