"""Request bodies that were compressed: gzip, deflate and zstd, within bounds.

The one rule: no more is ever made of a body than the limit allows, whatever its own head promises.
"""

import sys
import zlib
from collections.abc import Callable

from portbroker.errors import CallError

_GZIP = 31
_ZLIB = 15
_BARE_DEFLATE = -15
_WINDOW_LOG = 27
"""The largest window of zstd, as a power of two: 128 MiB, which its own tools also end at."""


class TooLarge(Exception):
    """A body would become larger than its limit."""


def unpack(raw: bytes, encoding: str, limit: int) -> bytes:
    """What `raw` was before it was compressed. Raises `TooLarge`, and `CallError` for what cannot be unpacked."""
    unpacker = _UNPACKERS.get(encoding)
    if unpacker is None:
        known = ", ".join(name for name in _UNPACKERS if not name.startswith("x-"))
        raise CallError(
            f"content-encoding {encoding[:40]!r} is not understood here; send the body plain, or in one of: {known}",
            status=415,
        )
    return unpacker(raw, limit)


def _damaged(encoding: str) -> CallError:
    return CallError(f"the {encoding} data of the request body is damaged")


def _foreign(encoding: str) -> CallError:
    return CallError(f"the request body is not in {encoding}, as its content-encoding says")


def _gzip(raw: bytes, limit: int) -> bytes:
    return _inflate(raw, limit, "gzip", _GZIP)


def _deflate(raw: bytes, limit: int) -> bytes:
    bare = raw[:1] and raw[0] & 0x0F != 8  # some clients leave zlib's header out
    return _inflate(raw, limit, "deflate", _BARE_DEFLATE if bare else _ZLIB)


def _inflate(raw: bytes, limit: int, encoding: str, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(raw, limit + 1)
    except zlib.error as error:
        raise _foreign(encoding) from error
    if len(plain) > limit:
        raise TooLarge
    if not stream.eof or stream.unused_data:
        raise _damaged(encoding)
    return plain


def _zstd(raw: bytes, limit: int) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    try:
        plain = stream.decompress(raw, limit + 1)
    except zstd.ZstdError as error:
        raise _foreign("zstd") from error
    if len(plain) > limit:
        raise TooLarge
    if not stream.eof or stream.unused_data:
        raise _damaged("zstd")
    return plain


_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
