"""Content parts of a Responses item to canonical blocks.

The one rule: what a part means is said here, what a target can take of it is not; only a part of unknown type is lost.
"""

from collections.abc import Callable

from portbroker.conversation import Block, Json, Report
from portbroker.dialects.attachments import attached, cache_mark, no_sound, picture
from portbroker.dialects.reading import object_in, refuse, text_in


def decode_content(content: object, place: str, report: Report) -> list[Block]:
    """The blocks of a message's `content`, a string or a list of parts."""
    if isinstance(content, str):
        return [Block({"type": "text", "text": content}, place, "content")]
    if not isinstance(content, list):
        refuse(f"{place}.content", "a string or an array of parts")
    return [Block(data, place, index) for index, data in _parts(content, f"{place}.content", report)]


def decode_output(output: object, place: str, report: Report) -> Json:
    """The `content` that a call's output gives its result; no key for an empty one."""
    if output is None:
        return {}
    if isinstance(output, str):
        return {"content": output} if output.strip() else {}
    if not isinstance(output, list):
        refuse(f"{place}.output", "a string or an array of parts")
    parts = [data for _, data in _parts(output, f"{place}.output", report)]
    blocks = [data for data in parts if data["type"] != "text" or data["text"].strip()]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return {"content": blocks[0]["text"]}
    return {"content": blocks} if blocks else {}


def _parts(parts: list[object], path: str, report: Report) -> list[tuple[int, Json]]:
    """The blocks of those parts that are known, each with its place in the list."""
    blocks = []
    for index, value in enumerate(parts):
        data = _part(object_in(value, f"{path}[{index}]"), f"{path}[{index}]")
        if data is None:
            report.add("dropped", f"{path}[{index}]")
        else:
            blocks.append((index, data))
    return blocks


def _part(part: Json, path: str) -> Json | None:
    kind = part.get("type")
    decode = _PARTS.get(kind) if isinstance(kind, str) else refuse(f"{path}.type", "a string")
    if decode is None:
        return None
    block = decode(part, path)
    mark = cache_mark(part)
    return {**block, "cache_control": mark} if mark else block


def _text(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("text"), f"{path}.text")}


def _refusal(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("refusal"), f"{path}.refusal"), "_refusal": True}


def _image(part: Json, path: str) -> Json:
    url = part.get("image_url")
    if url is None:
        file_id = text_in(part.get("file_id"), f"{path}.file_id")
        return {"type": "image", "source": {"type": "file", "file_id": file_id}}
    block = picture(text_in(url, f"{path}.image_url"), f"{path}.image_url")
    detail = part.get("detail")
    return {**block, "_detail": detail} if isinstance(detail, str) and detail not in ("", "auto") else block


def _file(part: Json, path: str) -> Json:
    title = part.get("filename")
    named: Json = {"title": title} if isinstance(title, str) and title else {}
    if part.get("file_data") is not None:
        return attached(text_in(part["file_data"], f"{path}.file_data"), named, f"{path}.file_data")
    if part.get("file_url") is not None:
        source = {"type": "url", "url": text_in(part["file_url"], f"{path}.file_url")}
    else:
        source = {"type": "file", "file_id": text_in(part.get("file_id"), f"{path}.file_id")}
    return {"type": "document", "source": source, **named}


def _audio(part: Json, path: str) -> Json:
    return no_sound(object_in(part.get("input_audio"), f"{path}.input_audio"))


_PARTS: dict[str, Callable[[Json, str], Json]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
