"""Content parts of a chat message to canonical blocks.

The one rule: what a part means is said here, what a target can take of it is not; only a part of unknown type is lost.
"""

from portbroker.conversation import Block, Json, Report
from portbroker.dialects.attachments import attached, picture
from portbroker.dialects.read_parts import Readers, read_audio, read_parts, read_refusal, read_text, titled
from portbroker.dialects.reading import list_in, object_in, refuse, text_in


def decode_content(content: object, place: str, report: Report) -> list[Block]:
    """The blocks of a message's `content`, a string or a list of parts; blank ones too."""
    if isinstance(content, str):
        return [Block({"type": "text", "text": content}, place, "content")]
    if not isinstance(content, list):
        refuse(f"{place}.content", "a string or an array of parts")
    read = read_parts(content, f"{place}.content", report, _READERS)
    return [Block(data, place, index) for index, data in read]


def _image(part: Json, path: str) -> Json:
    path = f"{path}.image_url"
    image = part.get("image_url")
    if not isinstance(image, dict):
        return picture(text_in(image, path), path)
    block = picture(text_in(image.get("url"), f"{path}.url"), f"{path}.url")
    return {**block, "_detail": image["detail"]} if image.get("detail") else block


def _file(part: Json, path: str) -> Json:
    path = f"{path}.file"
    file = object_in(part.get("file"), path)
    named = titled(file)
    if file.get("file_data") is None:
        file_id = text_in(file.get("file_id"), f"{path}.file_id")
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **named}
    path = f"{path}.file_data"
    return attached(text_in(file["file_data"], path), named, path)


_READERS: Readers = {
    "text": read_text,
    "refusal": read_refusal,
    "image_url": _image,
    "input_audio": read_audio,
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
