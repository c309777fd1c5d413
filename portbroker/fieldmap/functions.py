"""The registered functions: code that a rule may `call`, a closed list.

The one rule: each takes a value and gives a value, without memory and without the world; nothing here fetches anything.
"""

import base64
import binascii
import hashlib
import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from portbroker.conversation import AdaptationCode
from portbroker.dialects.schemas import inline_refs, openai_strict
from portbroker.fieldmap import schemas
from portbroker.fieldmap.paths import Change
from portbroker.fieldmap.problems import Place

Compile: TypeAlias = Callable[[Any, Place], Change | None]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how its arguments are read, how its work is reported, and where it works when no path is given.

    `first` is work that goes before and changes nothing that is worth a report.
    """

    compile: Compile
    code: AdaptationCode
    paths: tuple[str, ...]
    first: Change | None = None


def _plain(change: Change) -> Compile:
    """A function without arguments."""

    def compile_call(args: Any, at: Place) -> Change | None:
        if args != {}:
            at.fault("this function takes no arguments")
        return change

    return compile_call


def _strict(value: Any) -> Any:
    """A tool or a format without `strict: true` where its schema is not in OpenAI's strict subset."""
    if not isinstance(value, dict) or value.get("strict") is not True:
        return value
    schema = next((value[key] for key in ("parameters", "schema", "input_schema") if key in value), None)
    return value if openai_strict(schema) else {k: v for k, v in value.items() if k != "strict"}


def _flatten(args: Any, at: Place) -> Change | None:
    """Content that is only text parts as one text."""
    separator = args.get("separator", "\n\n") if isinstance(args, dict) and args.keys() <= {"separator"} else None
    if not isinstance(separator, str):
        at.fault("takes `separator`, a text")
        return None

    def change(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            return value
        texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        if len(texts) < len(value) or not all(isinstance(text, str) for text in texts):
            return value
        return separator.join(text for text in texts if text)

    return change


_OPEN, _CLOSE = "<think>", "</think>"


def _split_thinking(message: Any) -> Any:
    """A message whose text opens with `<think>…</think>`, with that part as `reasoning_content`."""
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str) or not (opened := text.lstrip()).startswith(_OPEN):
        return message
    thinking, _, rest = opened.removeprefix(_OPEN).partition(_CLOSE)
    earlier = message.get("reasoning_content")
    thinking = earlier if isinstance(earlier, str) and earlier else thinking.strip()
    return {**message, "content": rest.lstrip(), "reasoning_content": thinking}


# ids.pattern

_BASE62: Final = string.digits + string.ascii_letters


def _alphabet(text: str) -> str:
    """The characters of an alphabet, `a-z` written for a range; each once, in order."""
    out = ""
    at = 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            out += "".join(map(chr, range(ord(text[at]), ord(text[at + 2]) + 1)))
            at += 3
        else:
            out += text[at]
            at += 1
    return "".join(dict.fromkeys(out))


def _ids(args: Any, at: Place) -> Change | None:
    """An identifier of this alphabet and length: the same one if it fits, else one made from its hash."""
    args = args if isinstance(args, dict) else {"": args}
    for name in args.keys() - {"alphabet", "length"}:
        at.unknown("argument", name, ("alphabet", "length"))
    given, length = args.get("alphabet", _BASE62), args.get("length", 9)
    letters = _alphabet(given) if isinstance(given, str) and len(given) <= 256 else ""
    if not 2 <= len(letters) <= 256:
        (at / "alphabet").fault("takes at least two characters, like `0-9a-zA-Z`")
        return None
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= 64:
        (at / "length").fault("takes a whole number from 1 to 64")
        return None
    allowed, base = frozenset(letters), len(letters)
    size = 8 if length * math.log2(base) <= 64 else 64  # bytes of the hash; 8 give what `tool_id: mistral9` gives

    def change(value: Any) -> Any:
        if not isinstance(value, str) or (len(value) == length and allowed.issuperset(value)):
            return value
        digest = hashlib.sha512 if size > 8 else hashlib.sha256
        rest = int.from_bytes(digest(value.encode("utf-8", "surrogatepass")).digest()[:size], "big")
        digits = ""
        for _ in range(length):
            rest, digit = divmod(rest, base)
            digits += letters[digit]
        return digits

    return change


# base64.fetch_image

_MEDIA_TYPES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


def _parts(change: Change) -> Change:
    """A change of one part as a change of content, which is a list of parts, or of a part by itself."""

    def changed(value: Any) -> Any:
        if not isinstance(value, list):
            return change(value)
        parts = [change(part) for part in value]
        return parts if any(new is not old for new, old in zip(parts, value, strict=True)) else value

    return changed


def _image_url(part: Any) -> str | None:
    """The URL of a part that is an image."""
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return None
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return url if isinstance(url, str) else None


def _clean_image(part: Any) -> Any:
    """An image whose data URI is one that every server reads."""
    url = _image_url(part)
    clean = _data_uri(url) if url is not None else None
    if clean is None:
        return part
    image = part["image_url"] if isinstance(part["image_url"], dict) else {}
    return part if image.get("url") == clean else {**part, "image_url": {**image, "url": clean}}


def _inline_image(part: Any) -> Any:
    """A text instead of an image that is not in the request: nothing that a client names is ever fetched here."""
    url = _image_url(part)
    if url is None or _data_uri(url) is not None:
        return part
    what = "its data" if url[:5].lower() == "data:" else url[:200]
    return {"type": "text", "text": f"[image omitted: {what} could not be passed to this provider]"}


def _data_uri(url: str) -> str | None:
    """A data URI with a plain media type and valid, padded base64; None when it is none."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media, *parameters = [item.strip().lower() for item in head.split(";")]
    if not comma or "base64" not in parameters:
        return None
    data = "".join(data.split()).rstrip("=")
    data = data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4)
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"data:{_MEDIA_TYPES.get(media, media or 'image/png')};base64,{data}"


_TOOL_SCHEMAS: Final = ("tools[*].function.parameters",)

FUNCTIONS: Final[dict[str, Function]] = {
    "schema.inline_refs": Function(_plain(inline_refs), "changed", _TOOL_SCHEMAS),
    "schema.openai_strict": Function(_plain(_strict), "dropped", ("tools[*].function", "response_format.json_schema")),
    "schema.gemini": Function(_plain(schemas.gemini), "changed", _TOOL_SCHEMAS),
    "ids.pattern": Function(_ids, "changed", ("messages[*].tool_calls[*].id", "messages[*].tool_call_id")),
    "text.flatten": Function(_flatten, "changed", ("messages[*].content",)),
    "think_tags.split": Function(_plain(_split_thinking), "changed", ("choices[*].message",)),
    "base64.fetch_image": Function(
        _plain(_parts(_inline_image)), "dropped", ("messages[*].content",), first=_parts(_clean_image)
    ),
}
"""By the name that rules call them by. The paths are those of a body of `openai.chat`."""
