"""The end of the conversation that runs an event loop. The one rule: messages come one by one, in their order."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from portbroker.workers.messages import Inbox, Message, encode

_TAKE = 64 * 1024


class Talk:
    """What is said to a supervisor and by it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inbox = Inbox()
        self._heard: list[Message] = []

    async def next(self) -> Message | None:
        """The next message; None when there will be no more."""
        while not self._heard:
            if not (data := await self._reader.read(_TAKE)):
                return None
            self._heard = self._inbox.feed(data)
        return self._heard.pop(0)

    def say(self, message: Message) -> None:
        self._writer.write(encode(message))


@contextlib.asynccontextmanager
async def talking(channel: socket.socket) -> AsyncIterator[Talk]:
    """A talk through this socket, which is closed at the end."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    with contextlib.closing(writer):
        yield Talk(reader, writer)
