"""Single values: how YAML 1.2 reads a plain word, and what may not stand in a value. One rule: pure, and no message
holds the value."""

import re
from math import isfinite
from typing import Any

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

LONGEST_NUMBER = 64
"""Python takes quadratic time over the digits of a number; nothing here needs more."""


class Rendered(str):
    """Text that came out of a template. It may hold a secret: no message shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<rendered>"


def core_scalar(text: str) -> Any:
    """What a plain word means in YAML 1.2: `no` is text, `012` is 12, `0o14` is 12. Raises ValueError for a number
    that nothing can hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return str(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is no number that can be sent")
    return _number(text)


def _number(text: str) -> Any:
    based = _BASED.fullmatch(text)
    if not (based or _FLOAT.fullmatch(text)):
        return str(text)
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"has more than {LONGEST_NUMBER} digits")
    if based or _INTEGER.fullmatch(text):
        return int(text, 0 if based else 10)
    if not isfinite(value := float(text)):
        raise ValueError("is too large a number")
    return value


def fit_for_header(text: str) -> str:
    """The text itself; raises ValueError when no header may carry it."""
    if not without_control_characters(text).isascii() and max(text) > "\xff":
        raise ValueError("holds a character that no header can carry")
    return text


def header_name(text: str) -> str:
    """The text itself; raises ValueError when it is no name of a header, or of one that is not for the user to set."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError("is not the name of a header: letters, digits and - only")
    if text.lower() in _OWN_HEADERS:
        raise ValueError("is a header that is written for each request, not set")
    return text


def plain_ascii(text: str) -> str:
    """The text itself; raises ValueError for curly quotes, dashes and the like that come along with a copied key."""
    if not text.isascii():
        raise ValueError("holds a character that is not plain ASCII; copy it from a plain text")
    return text


def without_control_characters(text: str) -> str:
    """The text itself; raises ValueError when it holds a line break or another character that no header may carry."""
    if found := _CONTROL.search(text):
        raise ValueError("holds a line break" if found[0] in "\r\n" else "holds a control character")
    return text
