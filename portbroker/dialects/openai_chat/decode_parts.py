"""Content parts of a chat message to canonical blocks.

The one rule: what a part means is said here, what a target can take of it is not; only a part of unknown type is lost.
"""

from collections.abc import Callable

from portbroker.conversation import Block, Json, Report
from portbroker.dialects.attachments import attached, cache_mark, no_sound, picture
from portbroker.dialects.reading import list_in, object_in, refuse, text_in


def decode_content(content: object, place: str, report: Report) -> list[Block]:
    """The blocks of a message's `content`, a string or a list of parts; blank ones too."""
    if isinstance(content, str):
        return [Block({"type": "text", "text": content}, place, "content")]
    if not isinstance(content, list):
        refuse(f"{place}.content", "a string or an array of parts")
    blocks = []
    for index, part in enumerate(content):
        path = f"{place}.content[{index}]"
        data = decode_part(object_in(part, path), path)
        if data is None:
            report.add("dropped", path)
        else:
            blocks.append(Block(data, place, index))
    return blocks


def decode_part(part: Json, path: str) -> Json | None:
    """One part as a block, its cache mark kept; None when its type is unknown."""
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
    path = f"{path}.image_url"
    image = part.get("image_url")
    if not isinstance(image, dict):
        return picture(text_in(image, path), path)
    block = picture(text_in(image.get("url"), f"{path}.url"), f"{path}.url")
    return {**block, "_detail": image["detail"]} if image.get("detail") else block


def _audio(part: Json, path: str) -> Json:
    return no_sound(object_in(part.get("input_audio"), f"{path}.input_audio"))


def _file(part: Json, path: str) -> Json:
    path = f"{path}.file"
    file = object_in(part.get("file"), path)
    title = file.get("filename")
    named: Json = {"title": title} if isinstance(title, str) and title else {}
    if file.get("file_data") is None:
        file_id = text_in(file.get("file_id"), f"{path}.file_id")
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **named}
    path = f"{path}.file_data"
    return attached(text_in(file["file_data"], path), named, path)


_PARTS: dict[str, Callable[[Json, str], Json]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def decode_result(content: object, place: str, report: Report) -> Json:
    """The `content` (and cache mark) that a tool message gives its result; no key for an empty one."""
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": content} if content.strip() else {}
    blocks = [block.data for block in decode_content(list_in(content, f"{place}.content"), place, report)]
    blocks = [data for data in blocks if data["type"] != "text" or data["text"].strip()]
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        mark = blocks[0].get("cache_control")
        return {"content": blocks[0]["text"], **({"cache_control": mark} if mark else {})}
    return {"content": blocks} if blocks else {}
