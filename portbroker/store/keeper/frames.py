"""Messages on the socket: a length in four bytes, then JSON. The one rule: what is longer than a batch ends it."""

import asyncio
from typing import Any

import orjson

LONGEST = 64 << 20
"""Bytes of one message."""


async def read(reader: asyncio.StreamReader) -> Any:
    """The next message. Raises OSError, EOFError or ValueError when there will be none."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > LONGEST:
        raise ValueError("a message is too long")
    return orjson.loads(await reader.readexactly(length))


def written(message: Any) -> bytes:
    """The message as it is sent."""
    data = orjson.dumps(message)
    return len(data).to_bytes(4, "big") + data
