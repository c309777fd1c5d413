"""Content parts of a chat message to canonical blocks.

The one rule: what a part means is said here, what a target can take of it is not; only a part of unknown type is lost.
"""

import base64
import binascii
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from portbroker.conversation import Block, Json, Report
from portbroker.dialects.reading import list_in, object_in, refuse, text_in

NO_AUDIO = "[audio omitted: this model does not accept audio]"


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


def cache_mark(part: Json) -> Json | None:
    """The cache mark of a part: OpenRouter's is Anthropic's, OpenAI's says the same in its own words."""
    mark = part.get("cache_control")
    if isinstance(mark, dict):
        return mark
    return {"type": "ephemeral"} if isinstance(part.get("prompt_cache_breakpoint"), dict) else None


def _text(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("text"), f"{path}.text")}


def _refusal(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("refusal"), f"{path}.refusal"), "_refusal": True}


def _image(part: Json, path: str) -> Json:
    path = f"{path}.image_url"
    image = part.get("image_url")
    if not isinstance(image, dict):
        return _picture(text_in(image, path), path)
    block = _picture(text_in(image.get("url"), f"{path}.url"), f"{path}.url")
    return {**block, "_detail": image["detail"]} if image.get("detail") else block


def _picture(url: str, path: str) -> Json:
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        media_type, data = data_uri(url, path)
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if scheme.startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    refuse(path, "an http, https or data URL")


def _audio(part: Json, path: str) -> Json:
    # A placeholder for all who cannot hear; the sound itself for a target that can.
    return {"type": "text", "text": NO_AUDIO, "_audio": object_in(part.get("input_audio"), f"{path}.input_audio")}


def _file(part: Json, path: str) -> Json:
    path = f"{path}.file"
    file = object_in(part.get("file"), path)
    title = file.get("filename")
    named: Json = {"title": title} if isinstance(title, str) and title else {}
    if file.get("file_data") is None:
        file_id = text_in(file.get("file_id"), f"{path}.file_id")
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **named}
    path = f"{path}.file_data"
    media_type, data = data_uri(text_in(file["file_data"], path), path)
    source = {"type": "base64", "media_type": media_type, "data": data}
    if media_type.startswith("image/"):
        return {"type": "image", "source": source}
    if media_type.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _plain(data, path)}
    return {"type": "document", "source": source, **named}


def _plain(data: str, path: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        refuse(path, "valid base64")


def data_uri(url: str, path: str) -> tuple[str, str]:
    """The media type and the base64 text of a `data:` URL."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        refuse(path, "a data URL")
    media_type, *attributes = (piece.strip().lower() for piece in head[5:].split(";"))
    if "base64" not in attributes:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return {"image/jpg": "image/jpeg", "": "text/plain"}.get(media_type, media_type), data


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
