"""Content blocks as input parts of the Responses API, which takes text, pictures and files wherever content goes.

The one rule: a block that cannot travel leaves a line of text in its place where its absence would confuse the model,
and an adaptation always.
"""

from collections.abc import Iterable
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.results import failed, reference
from portbroker.dialects.write_parts import Words, write_block
from portbroker.dialects.written import compact


def text_part(text: str) -> Json:
    return {"type": "input_text", "text": text}


def encode_blocks(blocks: Iterable[Block], options: Options, report: Report) -> list[Json]:
    """The parts of some blocks of a user turn."""
    return [part for block in blocks for part in encode_block(block.data, block.path, options, report)]


def encode_block(data: Json, path: str, options: Options, report: Report) -> list[Json]:
    """The parts of one block; none for what is blank or cannot travel. `path` is its place."""
    return write_block(data, path, options, report, _WORDS)


def _image(url: str, detail: object) -> Json:
    return {"type": "input_image", "image_url": url, "detail": detail if isinstance(detail, str) else "auto"}


def _file(source: Json, title: str) -> Json | None:
    if source["type"] == "url":
        return {"type": "input_file", "file_url": source["url"]}
    if source["type"] == "base64":
        return {"type": "input_file", "filename": title, "file_data": source["url"]}
    return None


def _marked(part: Json, data: Json, options: Options) -> Json:
    if options.cache != "openai_breakpoint" or not isinstance(data.get("cache_control"), dict):
        return part
    return {**part, "prompt_cache_breakpoint": {"mode": "explicit"}}


_WORDS: Final = Words(text_part, _image, _file, _marked)


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
