"""The vocabulary: which strings of bytes are one token, and how a piece of text falls into them.

`o200k.xz` holds the tokens of o200k_base in the order of their bytes, each as how many of them it shares with the one
before, how many follow, and those. The one rule: in memory they are one string and the places in it, two megabytes.
"""

import lzma
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("o200k.xz")
_LONGEST = 128
"""Bytes of the longest token."""


def read_tokens(data: bytes) -> Iterator[bytes]:
    """The tokens of an unpacked vocabulary, in the order of their bytes."""
    place, token = 0, b""
    while place < len(data):
        shared, more = data[place], data[place + 1]
        token = token[:shared] + data[place + 2 : place + 2 + more]
        place += 2 + more
        yield token


class Vocabulary:
    """Tokens in the order of their bytes; every single byte is among them."""

    def __init__(self, tokens: Iterator[bytes]) -> None:
        text, ends = bytearray(), array("I", [0])
        firsts = [0] * 257  # where the tokens of each first byte begin
        for number, token in enumerate(tokens, 1):
            text += token
            ends.append(len(text))
            firsts[token[0] + 1] = number
        self._token = _reader(bytes(text), ends)
        self._firsts = firsts
        self._numbers: Sequence[int] = range(len(ends) - 1)

    def longest(self, text: bytes) -> int:
        """How many bytes the longest token has that `text`, which is not empty, begins with."""
        low, high = self._firsts[text[0]], self._firsts[text[0] + 1]
        while True:
            # Whatever stands between a text and what it begins with begins with that, too.
            token = self._token(bisect_right(self._numbers, text, low, high, key=self._token) - 1)
            if text.startswith(token):
                return len(token)
            text = text[: _shared(text, token)]

    def count(self, piece: bytes) -> int:
        """How many tokens a piece falls into, the longest first: a few in a thousand from what merging pairs gives."""
        count = start = 0
        while start < len(piece):
            start += self.longest(piece[start : start + _LONGEST])
            count += 1
        return count


def _reader(text: bytes, ends: "array[int]") -> Callable[[int], bytes]:
    return lambda number: text[ends[number] : ends[number + 1]]


def _shared(one: bytes, other: bytes) -> int:
    """With how many equal bytes two texts begin, one of which does not begin with the other."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary, unpacked when it is first asked for."""
    return Vocabulary(read_tokens(lzma.decompress(_FILE.read_bytes())))
