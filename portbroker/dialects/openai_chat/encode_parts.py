"""Content blocks as the parts of a chat message.

The one rule: a block that cannot travel leaves a line of text in its place where its absence would confuse the model,
and an adaptation always. Blank text is never sent: several servers refuse it.
"""

from collections.abc import Sequence
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.written import inlined, no_citations, search_result, summary

NO_VISION: Final = "[image omitted: this model does not accept images]"


def text_part(text: str) -> Json:
    """A part of plain text."""
    return {"type": "text", "text": text}


def content_of(parts: list[Json]) -> str | list[Json]:
    """Parts as `content`: one string wherever possible, since that is what every server accepts."""
    if len(parts) == 1 and len(parts[0]) == 2 and parts[0]["type"] == "text":  # as it nearly always is
        text: str = parts[0]["text"]
        return text
    if all(part["type"] == "text" and len(part) == 2 for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def joined(first: str | list[Json], second: str | list[Json]) -> str | list[Json]:
    """The contents of two messages as that of one."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts_of(first), *_parts_of(second)]


def text_of(content: str | list[Json]) -> str:
    """The text of a message's content."""
    return content if isinstance(content, str) else "\n\n".join(part["text"] for part in content if "text" in part)


def _parts_of(content: str | list[Json]) -> list[Json]:
    return [text_part(content)] if isinstance(content, str) else content


def cache_mark(data: Json, options: Options) -> Json:
    """What marks a part as the end of a cached prefix, in the provider's words; empty when there is nothing to mark."""
    mark = data.get("cache_control")
    if options.cache == "none" or not isinstance(mark, dict):
        return {}
    return (
        {"cache_control": mark}
        if options.cache == "cache_control"
        else {"prompt_cache_breakpoint": {"mode": "explicit"}}
    )


def encode_blocks(blocks: Sequence[Block], options: Options, report: Report) -> list[Json]:
    """The parts of some blocks of a user turn."""
    parts: list[Json] = []
    for block in blocks:
        data = block.data
        if data["type"] != "text" or options.cache != "none":
            parts.extend(encode_block(data, block.path, options, report))
        elif data["text"].strip():  # as `encode_block` would, without a path in words for every text
            parts.append(text_part(data["text"]))
    return parts


def encode_block(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """The parts of one block; none for what is blank or cannot travel. `path` is its place."""
    kind = data["type"]
    if kind == "text":
        parts = [text_part(data["text"])] if data["text"].strip() else []
    elif kind == "image":
        parts = [_image(data, path, options, report)]
    elif kind == "document":
        parts = _document(data, path, options, report)
    elif kind == "search_result":
        parts = [text_part(search_result(data, path, report))]
    elif kind == "compaction" and data.get("content"):
        parts = [text_part(summary(data))]
    else:
        report.add("dropped", path)
        return []
    if parts and options.cache != "none":
        parts[-1] = _marked(parts[-1], data, options)
    return parts


def _marked(part: Json, data: Json, options: Options) -> Json:
    """The part with its block's cache mark. OpenAI takes no breakpoint on images."""
    if options.cache == "openai_breakpoint" and part["type"] != "text":
        return part
    return {**part, **cache_mark(data, options)}


def _image(data: Json, path: str, options: Options, report: Report) -> Json:
    """An image part, or the text that stands for an image that cannot travel."""
    source = data["source"]
    kind = source["type"]
    detail = {"detail": data["_detail"]} if "_detail" in data else {}
    if options.vision and kind == "base64":
        url = f"data:{source['media_type']};base64,{source['data']}"
        return {"type": "image_url", "image_url": {"url": url, **detail}}
    if options.vision and kind == "url":
        return {"type": "image_url", "image_url": {"url": source["url"], **detail}}
    report.add("dropped", path)
    if not options.vision:
        return text_part(NO_VISION)
    what = f"file {source['file_id']}" if kind == "file" else f"{kind} source"
    return text_part(f"[image omitted: {what} is not available to this provider]")


def _document(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    source = data["source"]
    kind = source["type"]
    no_citations(data, path, report)
    if kind == "text":
        return [text_part(inlined(data, source["data"]))]
    if kind == "content":
        return _content_document(data, path, options, report)
    if kind == "base64" and options.documents == "file":
        url = f"data:{source['media_type']};base64,{source['data']}"
        return [{"type": "file", "file": {"filename": data.get("title") or "document.pdf", "file_data": url}}]
    report.add("dropped", path)
    what = source.get("url") or source.get("file_id") or data.get("title") or "document.pdf"
    return [text_part(f"[document omitted: {what} could not be passed to this provider]")]


def _content_document(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """A document made of blocks: its texts inline, its images after it."""
    content = data["source"]["content"]
    if isinstance(content, str):
        return [text_part(inlined(data, content))]
    parts = [
        part
        for index, inner in enumerate(content)
        for part in encode_block(inner, f"{path}.source.content[{index}]", options, report)
    ]
    texts = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
    return [text_part(inlined(data, texts)), *(part for part in parts if part["type"] != "text")]
