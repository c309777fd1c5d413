"""One worker: a process that serves what its supervisor hands it, on the sockets that it inherited.

The one rule: a worker accepts nothing before it is told to, and nothing after there is nobody to tell it.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from portbroker.app import run, serving
from portbroker.compile import compile_snapshot
from portbroker.errors import ConfigError
from portbroker.snapshot import Snapshot
from portbroker.workers.messages import Commit, Committed, Inbox, Message, Prepare, Ready, Refused, Stop, encode

log = logging.getLogger("portbroker")

_TAKE = 64 * 1024


def work(channel: socket.socket, sockets: Sequence[socket.socket]) -> None:
    """Serve on `sockets` what comes through `channel`, until told to stop; calls under way end first."""
    run(serve(channel, sockets))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be served from the next moment on."""

    generation: int
    snapshot: Snapshot
    max_body: int


async def serve(channel: socket.socket, sockets: Sequence[socket.socket]) -> None:
    """What `work` does, for an event loop that runs already."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    with channel.dup() as same, contextlib.closing(writer):
        # Told to end, a worker ends as if it had heard the last of its supervisor. Told again, at once.
        loop.add_signal_handler(signal.SIGTERM, _hear_no_more, loop, same)
        await _follow(Orders(reader, writer), sockets)
        loop.remove_signal_handler(signal.SIGTERM)


async def _follow(orders: "Orders", sockets: Sequence[socket.socket]) -> None:
    if (first := await orders.next()) is None:
        return
    async with serving(first.snapshot, sockets, max_body=first.max_body) as listening:
        orders.answer(Committed(first.generation))
        while (later := await orders.next()) is not None:
            listening.gateway.snapshot = later.snapshot
            orders.answer(Committed(later.generation))


def _hear_no_more(loop: asyncio.AbstractEventLoop, channel: socket.socket) -> None:
    loop.remove_signal_handler(signal.SIGTERM)
    channel.shutdown(socket.SHUT_RD)


class Orders:
    """The worker's end of the conversation: prepares what it is asked to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inbox = Inbox()
        self._heard: list[Message] = []
        self._prepared: Prepared | None = None

    async def next(self) -> Prepared | None:
        """What is to be served from now on; None when it is time to stop."""
        while (message := await self._message()) is not None:
            if isinstance(message, Prepare):
                self.answer(self._prepare(message))
            elif isinstance(message, Stop):
                return None
            elif isinstance(message, Commit) and (due := self._prepared) and due.generation == message.generation:
                return due
        log.warning("hearing no more of the supervisor: calls under way may end, then this worker does")
        return None

    def answer(self, message: Message) -> None:
        self._writer.write(encode(message))

    async def _message(self) -> Message | None:
        while not self._heard:
            if not (data := await self._reader.read(_TAKE)):
                return None
            self._heard = self._inbox.feed(data)
        return self._heard.pop(0)

    def _prepare(self, wanted: Prepare) -> Ready | Refused:
        self._prepared = None
        try:
            loaded = wanted.load()
            if loaded.revision != wanted.revision:
                return Refused(wanted.generation, f"these are bytes of {loaded.revision}, not of {wanted.revision}")
            snapshot = compile_snapshot(loaded)
        except ConfigError as error:
            return Refused(wanted.generation, str(error))
        except Exception as error:  # what was served before goes on; the reason is in the log
            log.exception("a configuration could not be prepared")
            return Refused(wanted.generation, f"{type(error).__name__} (see the log)")
        self._prepared = Prepared(wanted.generation, snapshot, loaded.config.server.max_body)
        return Ready(wanted.generation)
