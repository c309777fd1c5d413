"""Identifiers that sort by time. The one rule: made here and now, known to nobody before, and not a secret."""

from random import getrandbits


def uuid7(at: int) -> str:
    """A fresh UUIDv7 (RFC 9562) for this time, in microseconds since 1970."""
    value = (at // 1000 << 80) | getrandbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
