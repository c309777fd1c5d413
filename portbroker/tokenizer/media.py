"""Images, documents and sound in a call, in tokens: from what their first bytes say, since their length says little.

The one rule: of two ways in which providers count, the one that gives more; where nothing is known, the most.
"""

import base64
import binascii
import re
import struct
from math import ceil

from portbroker.conversation import Json

UNKNOWN_IMAGE = 1600
_PAGE = 2000
_PAGE_BYTES = 100_000
_SOUND_BYTES = 1000
_HEAD = 400_000
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b")


def image_tokens(data: str) -> int:
    """Tokens of an image in base64."""
    size = image_size(_decoded(data[:_HEAD]))
    if size is None or not all(size):
        return UNKNOWN_IMAGE
    width, height = size
    return max(min(UNKNOWN_IMAGE, ceil(width * height / 750)), _tiles(width, height))


def _tiles(width: int, height: int) -> int:
    """As OpenAI counts: scaled into 2048 by 2048, then to a short side of 768, in tiles of 512."""
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return 85 + 170 * ceil(width * scale / 512) * ceil(height * scale / 512)


def image_size(head: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG, by its first bytes."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head[:4] == b"GIF8" and len(head) >= 10:
        width, height = struct.unpack("<HH", head[6:10])
        return width, height
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp_size(head)
    return _jpeg_size(head) if head[:2] == b"\xff\xd8" else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(head) and head[place] == 0xFF:
        if head[place + 1] in _JPEG_SIZES:
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return width, height
        place += 2 + int.from_bytes(head[place + 2 : place + 4])
    return None


def document_tokens(source: Json) -> int:
    """Tokens of a document that is no text: by its pages, where they can be told."""
    data = source.get("data")
    if not isinstance(data, str):
        return _PAGE * 2
    plain = _decoded(data)
    return _PAGE * max(1, len(_PDF_PAGE.findall(plain)), len(plain) // _PAGE_BYTES)


def sound_tokens(data: object) -> int:
    """Tokens of a recording in base64: more than any format takes for its length."""
    return ceil(len(data) / _SOUND_BYTES) if isinstance(data, str) else UNKNOWN_IMAGE


def _decoded(text: str) -> bytes:
    """As much as is base64."""
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""
