"""The body of a request as it was meant: whole, unpacked, and within bounds of size and time.

The one rule: whatever a client sends or fails to send is its own error, and no connection waits for ever.
"""

import asyncio

from portbroker import web
from portbroker.errors import CallError
from portbroker.unpacking import TooLarge, unpack

PATIENCE = 30.0
"""Seconds in which more of a body must come."""
WHOLE_PATIENCE = 300.0
"""Seconds in which a body must be complete."""


async def read_body(request: web.BaseRequest, most: int | None = None) -> bytes:
    """The whole body. Raises `CallError` when it is too large, too slow or damaged.

    `most` is how many bytes it may have where that is less than what a call may have.
    """
    limit = min(most or request.client_max_size, request.client_max_size)
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
    if encoding in ("", "identity"):
        return raw
    try:
        return unpack(raw, encoding, limit)
    except TooLarge:
        raise _too_large(limit) from None


def _too_large(limit: int) -> CallError:
    return CallError(
        f"the request body is larger than this gateway takes here: {limit} bytes (for calls: server.max_body)",
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
