"""The body of a request as it was meant: whole, unpacked, and within bounds of size and time.

The one rule: whatever a client sends or fails to send is its own error, and no connection waits for ever.
"""

import asyncio

from portbroker.errors import CallError
from portbroker.request import BodyError, Request
from portbroker.unpacking import TooLarge, unpack

PATIENCE = 30.0
"""Seconds in which more of a body must come."""
WHOLE_PATIENCE = 300.0
"""Seconds in which a body must be complete."""


async def read_body(request: Request, most: int | None = None) -> bytes:
    """The whole body. Raises `CallError` when it is too large, too slow or damaged.

    `most` is how many bytes it may have where that is less than what a call may have.
    """
    limit = min(most or request.max_body, request.max_body)
    if (request.length or 0) > limit:
        raise _too_large(limit)
    if request.complete and request.length is not None and "content-encoding" not in request.headers:
        return request.taken()  # as nearly every body is: whole, plain, and no longer than it says
    if not request.complete and request.headers.get("expect", "").lower() == "100-continue":
        _invite(request)
    try:
        raw = await _receive(request, limit)
    except TimeoutError as error:
        raise CallError("the request body did not arrive in time", kind="timeout", status=408) from error
    except BodyError as error:
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


def _invite(request: Request) -> None:
    """Tell a client that asked first to send its body; curl does so, and would wait a second in vain."""
    if not request.client.transport.is_closing():
        request.client.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _receive(request: Request, limit: int) -> bytes:
    if request.complete:  # nearly always: it came with the head
        body = request.taken()
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return await _gather(request, limit)


async def _gather(request: Request, limit: int) -> bytes:
    """The body as it arrives. Raises `TimeoutError` when the client stalls."""
    pieces: list[bytes] = []
    size = 0
    clock = asyncio.get_running_loop().time
    ends = clock() + WHOLE_PATIENCE
    async with asyncio.timeout(None) as patience:
        while True:
            patience.reschedule(min(ends, clock() + PATIENCE))
            piece = await request.more()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
