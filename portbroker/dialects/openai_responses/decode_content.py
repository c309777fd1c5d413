"""Content parts of a Responses item to canonical blocks.

The one rule: what a part means is said here, what a target can take of it is not; only a part of unknown type is lost.
"""

from portbroker.conversation import Block, Json, Report
from portbroker.dialects.attachments import attached, picture
from portbroker.dialects.read_parts import Readers, read_audio, read_parts, read_refusal, read_text, titled
from portbroker.dialects.reading import refuse, text_in


def decode_content(content: object, place: str, report: Report) -> list[Block]:
    """The blocks of a message's `content`, a string or a list of parts."""
    if isinstance(content, str):
        return [Block({"type": "text", "text": content}, place, "content")]
    if not isinstance(content, list):
        refuse(f"{place}.content", "a string or an array of parts")
    read = read_parts(content, f"{place}.content", report, _READERS)
    return [Block(data, place, index) for index, data in read]


def decode_output(output: object, place: str, report: Report) -> Json:
    """The `content` that a call's output gives its result; no key for an empty one."""
    if output is None:
        return {}
    if isinstance(output, str):
        return {"content": output} if output.strip() else {}
    if not isinstance(output, list):
        refuse(f"{place}.output", "a string or an array of parts")
    parts = [data for _, data in read_parts(output, f"{place}.output", report, _READERS)]
    blocks = [data for data in parts if data["type"] != "text" or data["text"].strip()]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return {"content": blocks[0]["text"]}
    return {"content": blocks} if blocks else {}


def _image(part: Json, path: str) -> Json:
    url = part.get("image_url")
    if url is None:
        file_id = text_in(part.get("file_id"), f"{path}.file_id")
        return {"type": "image", "source": {"type": "file", "file_id": file_id}}
    block = picture(text_in(url, f"{path}.image_url"), f"{path}.image_url")
    detail = part.get("detail")
    return {**block, "_detail": detail} if isinstance(detail, str) and detail not in ("", "auto") else block


def _file(part: Json, path: str) -> Json:
    named = titled(part)
    if part.get("file_data") is not None:
        return attached(text_in(part["file_data"], f"{path}.file_data"), named, f"{path}.file_data")
    if part.get("file_url") is not None:
        source = {"type": "url", "url": text_in(part["file_url"], f"{path}.file_url")}
    else:
        source = {"type": "file", "file_id": text_in(part.get("file_id"), f"{path}.file_id")}
    return {"type": "document", "source": source, **named}


_READERS: Readers = {
    "input_text": read_text,
    "output_text": read_text,
    "text": read_text,
    "refusal": read_refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": read_audio,
}
