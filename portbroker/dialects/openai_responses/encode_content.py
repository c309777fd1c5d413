"""Content blocks as input parts of the Responses API, which takes text, pictures and files wherever content goes.

The one rule: a block that cannot travel leaves a line of text in its place where its absence would confuse the model,
and an adaptation always.
"""

from collections.abc import Iterable

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.results import failed, reference
from portbroker.dialects.written import compact, inlined, no_citations, search_result, summary

_NO_VISION = "[image omitted: this model does not accept images]"


def text_part(text: str) -> Json:
    return {"type": "input_text", "text": text}


def encode_blocks(blocks: Iterable[Block], options: Options, report: Report) -> list[Json]:
    """The parts of some blocks of a user turn."""
    return [part for block in blocks for part in encode_block(block.data, block.path, options, report)]


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
    if parts and options.cache == "openai_breakpoint" and isinstance(data.get("cache_control"), dict):
        parts[-1] = {**parts[-1], "prompt_cache_breakpoint": {"mode": "explicit"}}
    return parts


def encode_output(block: Block, options: Options, report: Report) -> str | list[Json]:
    """What a `tool_result` says: a string where it is text alone, parts otherwise."""
    data = block.data
    content = data.get("content")
    parts = [text_part(content)] if isinstance(content, str) else _inner(block, options, report)
    if all(part["type"] == "input_text" for part in parts):
        text = "\n\n".join(part["text"] for part in parts)
        return failed(text) if data.get("is_error") else text
    return [text_part("Error"), *parts] if data.get("is_error") else parts


def _inner(block: Block, options: Options, report: Report) -> list[Json]:
    parts: list[Json] = []
    for index, inner in enumerate(block.data.get("content") or ()):
        path = f"{block.path}.content[{index}]"
        if inner["type"] == "tool_reference":
            parts.append(text_part(reference(inner)))
        elif inner["type"] == "browser_state":
            shown = {key: value for key, value in inner.items() if key != "cache_control"}
            parts.append(text_part(compact(shown, path)))
        else:
            parts += encode_block(inner, path, options, report)
    return parts


def _image(data: Json, path: str, options: Options, report: Report) -> Json:
    source = data["source"]
    kind = source["type"]
    if options.vision and kind in ("base64", "url"):
        url = source["url"] if kind == "url" else f"data:{source['media_type']};base64,{source['data']}"
        detail = data.get("_detail")
        return {"type": "input_image", "image_url": url, "detail": detail if isinstance(detail, str) else "auto"}
    report.add("dropped", path)
    if not options.vision:
        return text_part(_NO_VISION)
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
    if options.documents == "file" and kind == "url":
        return [{"type": "input_file", "file_url": source["url"]}]
    if options.documents == "file" and kind == "base64":
        url = f"data:{source['media_type']};base64,{source['data']}"
        return [{"type": "input_file", "filename": data.get("title") or "document.pdf", "file_data": url}]
    report.add("dropped", path)
    what = source.get("url") or source.get("file_id") or data.get("title") or "document.pdf"
    return [text_part(f"[document omitted: {what} could not be passed to this provider]")]


def _content_document(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """A document made of blocks: its texts inline, its pictures after it."""
    content = data["source"]["content"]
    if isinstance(content, str):
        return [text_part(inlined(data, content))]
    parts = [
        part
        for index, inner in enumerate(content)
        for part in encode_block(inner, f"{path}.source.content[{index}]", options, report)
    ]
    texts = "\n\n".join(part["text"] for part in parts if part["type"] == "input_text")
    return [text_part(inlined(data, texts)), *(part for part in parts if part["type"] != "input_text")]
