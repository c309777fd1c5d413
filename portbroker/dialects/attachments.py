"""What clients of OpenAI's APIs attach to a message, as canonical blocks: pictures, files, sound, marks.

The one rule: what is attached is kept whole; whether a target can take it is the target's business.
"""

import base64
import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

from portbroker.conversation import Json
from portbroker.dialects.reading import refuse

NO_AUDIO: Final = "[audio omitted: this model does not accept audio]"


def cache_mark(part: Json) -> Json | None:
    """The cache mark of a part: OpenRouter's is Anthropic's, OpenAI's says the same in its own words."""
    mark = part.get("cache_control")
    if isinstance(mark, dict):
        return mark
    return {"type": "ephemeral"} if isinstance(part.get("prompt_cache_breakpoint"), dict) else None


def picture(url: str, path: str) -> Json:
    """The image block of a web address or a `data:` URL."""
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        media_type, data = data_uri(url, path)
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if scheme.startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    refuse(path, "an http, https or data URL")


def no_sound(audio: Json) -> Json:
    """A placeholder for all who cannot hear, and the sound itself for a target that can."""
    return {"type": "text", "text": NO_AUDIO, "_audio": audio}


def attached(url: str, named: Json, path: str) -> Json:
    """The block of a file in a `data:` URL; `named` is what else is known of it."""
    media_type, data = data_uri(url, path)
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
