"""How many tokens a body holds, estimated from its characters, for providers that do not say.

The one rule: an estimate errs on the high side, because a client that believes it has room will fail later.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from portbroker.conversation import Json

_WIDE = re.compile("[ᄀ-ᇿ⺀-鿿가-힯豈-﫿＀-￯]")
_PER_CHARACTER = 1 / 3.5
_PER_WIDE = 1 / 1.5
_IMAGE = 1600
_DOCUMENT = 4000
_PER_MESSAGE = 4
_PER_TOOL = 8
# Opaque data: what it costs is not in its length.
_SKIPPED = frozenset({"data", "signature", "encrypted_content", "file_data", "url", "cache_control"})


def texts(value: Any) -> Iterator[str]:
    """Every string that a model would read, keys included."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            for key, inner in item.items():
                if key not in _SKIPPED:
                    yield key
                    stack.append(inner)
        elif isinstance(item, list):
            stack.extend(item)
        elif item is not None:
            yield str(item)


def text_tokens(text: str) -> float:
    """Tokens of a text: 3.5 characters each, wide (CJK) ones 1.5 each."""
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    return (len(text) - wide) * _PER_CHARACTER + wide * _PER_WIDE


def _media(value: Any) -> int:
    """Images and documents, by count: their size in tokens is not in their bytes."""
    stack, total = [value], 0
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            kind = item.get("type")
            if kind in ("image", "image_url", "input_image"):
                total += _IMAGE
            elif kind in ("document", "file", "input_file"):
                total += _DOCUMENT
            else:
                stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return total


def estimate(body: Json) -> int:
    """Input tokens of a request body, in any dialect: what it says, its messages, tools, images and documents."""
    parts = [body.get(name) for name in ("system", "instructions", "messages", "input", "tools")]
    total = sum(map(text_tokens, texts(parts))) + _media(parts)
    messages, tools = body.get("messages"), body.get("tools")
    total += _PER_MESSAGE * (len(messages) if isinstance(messages, list) else 1)
    total += _PER_TOOL * (len(tools) if isinstance(tools, list) else 0)
    return max(1, math.ceil(total))


def quick_estimate(raw: bytes, body: Json) -> int:
    """The same within a few per cent, at the price of a division, for bodies without embedded data."""
    return estimate(body) if b"base64" in raw else max(1, int(len(raw) * _PER_CHARACTER))
