"""Compressed answers from providers that compress although `identity` was asked for.

The one rule: nothing is passed on unless the compressed data is whole, and never more than the limits allow.
"""

import zlib
from collections.abc import Iterator

from portbroker.upstream.faults import WireFault
from portbroker.upstream.limits import Limits

_STEP = 64 * 1024
_HARMLESS = 1024 * 1024  # below this a high ratio is just a repetitive answer
_GZIP = 31
_ZLIB = 15
_RAW = -15


class Inflater:
    """One compressed body in flight: compressed bytes in, plain bytes out in small steps."""

    def __init__(self, encoding: str, limits: Limits) -> None:
        """Raises `WireFault` for an encoding that nobody asked for and that is not decoded here."""
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise WireFault("answered in a content-encoding that was not asked for and is not known here")
        self._limits = limits
        self._gzip = encoding != "deflate"
        self._stream: zlib._Decompress | None = None
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes that `data` stands for. Raises `WireFault` on damage and on bombs."""
        self._taken += len(data)
        full = False  # zlib may hold back more than one step, with all of its input taken
        while data or full:
            stream = self._stream or self._begin(data)
            try:
                plain = stream.decompress(data, _STEP)
            except zlib.error as error:
                raise WireFault("sent a damaged compressed answer") from error
            full = len(plain) == _STEP
            if plain:
                self._bound(len(plain))
                yield plain
            data = stream.unconsumed_tail or self._after(stream)

    def finish(self) -> None:
        """Raises `WireFault` unless the compressed data came to its end."""
        if self._stream is not None and not self._stream.eof:
            raise WireFault("sent a compressed answer that breaks off")

    def _begin(self, data: bytes) -> "zlib._Decompress":
        # "deflate" means zlib's format, but some servers send the bare one: 0x78 is the first byte of zlib's.
        plain_deflate = not self._gzip and data[0] & 0x0F != 8
        self._stream = zlib.decompressobj(_GZIP if self._gzip else _RAW if plain_deflate else _ZLIB)
        return self._stream

    def _after(self, stream: "zlib._Decompress") -> bytes:
        """What follows a finished member: gzip may have several."""
        if not stream.unused_data:
            return b""
        if not self._gzip:
            raise WireFault("sent a damaged compressed answer")
        self._stream = None
        return stream.unused_data

    def _bound(self, size: int) -> None:
        self._given += size
        if self._given > self._limits.body_bytes:
            raise WireFault(f"sent an answer larger than {self._limits.body_bytes} bytes")
        if self._given > max(_HARMLESS, self._taken * self._limits.ratio):
            raise WireFault("sent a compressed answer that grows beyond measure")
