"""The body of a request as it was meant: whole, unpacked, and within bounds of size and time.

The one rule: whatever a client sends or fails to send is its own error, and no connection waits for ever.
"""

import asyncio
import zlib

from portbroker import web
from portbroker.errors import CallError

PATIENCE = 30.0
"""Seconds in which more of a body must come."""
WHOLE_PATIENCE = 300.0
"""Seconds in which a body must be complete."""

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_BARE_DEFLATE = -15


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body. Raises `CallError` when it is too large, too slow or damaged."""
    limit = request.client_max_size
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if not request.content.is_eof() and request.headers.get("expect", "").lower() == "100-continue":
        _invite(request)
    try:
        raw = await _receive(request, limit)
    except TimeoutError as error:
        raise CallError("the request body did not arrive in time", kind="timeout", status=408) from error
    except web.RequestPayloadError as error:
        raise CallError("the request body breaks off, or its chunks are not framed as HTTP says") from error
    encoding = request.headers.get("content-encoding", "").strip().lower()
    return raw if encoding in ("", "identity") else _unpack(raw, encoding, limit)


def _too_large(limit: int) -> CallError:
    return CallError(
        f"the request body is larger than this gateway takes ({limit} bytes: server.max_body)",
        kind="too_large",
        status=413,
    )


def _invite(request: web.BaseRequest) -> None:
    """Tell a client that asked first to send its body; curl does so, and would wait a second in vain."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _receive(request: web.BaseRequest, limit: int) -> bytes:
    if request.content.is_eof():  # nearly always: it came with the head
        body = request.content.read_nowait()  # `read` would ask the connection for more, once for each piece
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return await _gather(request, limit)


async def _gather(request: web.BaseRequest, limit: int) -> bytes:
    """The body as it arrives. Raises `TimeoutError` when the client stalls."""
    pieces: list[bytes] = []
    size = 0
    clock = asyncio.get_running_loop().time
    ends = clock() + WHOLE_PATIENCE
    async with asyncio.timeout(None) as patience:
        while True:
            patience.reschedule(min(ends, clock() + PATIENCE))
            piece = await request.content.readany()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _too_large(limit)


def _unpack(raw: bytes, encoding: str, limit: int) -> bytes:
    """What `raw` was before it was compressed; never more than `limit` bytes of it are made."""
    if encoding not in _WINDOWS:
        raise CallError(
            f"content-encoding {encoding[:40]!r} is not understood here; send the body plain, or in gzip or deflate",
            status=415,
        )
    window = _WINDOWS[encoding]
    if encoding == "deflate" and raw[:1] and raw[0] & 0x0F != 8:  # some clients leave zlib's header out
        window = _BARE_DEFLATE
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(raw, limit + 1)
    except zlib.error as error:
        raise CallError(f"the request body is not in {encoding}, as its content-encoding says") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not stream.eof or stream.unused_data:
        raise CallError(f"the {encoding} data of the request body is damaged")
    return plain
