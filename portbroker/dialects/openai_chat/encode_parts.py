"""Content blocks as the parts of a chat message.

The one rule: a block that cannot travel leaves a line of text in its place where its absence would confuse the model,
and an adaptation always. Blank text is never sent: several servers refuse it.
"""

from collections.abc import Sequence
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.write_parts import Words, write_block


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
    return write_block(data, path, options, report, _WORDS)


def _marked(part: Json, data: Json, options: Options) -> Json:
    """The part with its block's cache mark. OpenAI takes no breakpoint on images."""
    if options.cache == "openai_breakpoint" and part["type"] != "text":
        return part
    return {**part, **cache_mark(data, options)}


def _image(url: str, detail: object) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail is not None else {})}}


def _file(source: Json, title: str) -> Json | None:
    if source["type"] != "base64":
        return None
    return {"type": "file", "file": {"filename": title, "file_data": source["url"]}}


_WORDS: Final = Words(text_part, _image, _file, _marked)
