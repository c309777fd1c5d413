"""The watcher: a process that follows the file for a supervisor, which can neither watch nor compile without waiting.

The one rule: it serves nothing and decides nothing; what it finds is proposed, and served when every worker can.
"""

import asyncio
import logging
import socket
from pathlib import Path

from portbroker.app import run
from portbroker.compile import compile_snapshot
from portbroker.history import history_of
from portbroker.reload import Found, NotServed, Reloader, reloading
from portbroker.status import Status
from portbroker.workers.messages import Committed, Look, Message, Prepare, Refused, Reported
from portbroker.workers.talk import Talk, talking

log = logging.getLogger("portbroker")


def watch(channel: socket.socket) -> None:
    """Follow the file of the configuration that comes through `channel`, until nobody is at its other end."""
    run(_follow(channel))


async def _follow(channel: socket.socket) -> None:
    async with talking(channel) as talk:
        first = await talk.next()
        if not isinstance(first, Prepare):
            return
        loaded = first.load()
        workers = Workers(talk, Path(first.directory))
        file = Path(first.file)
        reloader = Reloader(file, loaded, compile_snapshot(loaded), workers, history_of(file, loaded))
        async with reloading(reloader):
            while (message := await talk.next()) is not None:
                if isinstance(message, Look):
                    reloader.trigger(message.cause)
                else:
                    workers.hear(message)


class Workers:
    """All workers, as a reload sees them: one that serves."""

    def __init__(self, talk: Talk, directory: Path) -> None:
        self._talk = talk
        self._directory = directory
        self._answer: asyncio.Future[None] | None = None

    async def switch(self, found: Found) -> None:
        """Returns when every worker serves it. Raises `NotServed`."""
        self._answer = asyncio.get_running_loop().create_future()
        self._talk.say(Prepare.of(found.loaded, 0, self._directory))
        await self._answer

    def report(self, status: Status) -> None:
        if status.last:
            self._talk.say(Reported(status.last.at, status.last.succeeded))

    def hear(self, message: Message) -> None:
        """What became of the proposal."""
        if self._answer is None or self._answer.done():
            return
        if isinstance(message, Committed):
            self._answer.set_result(None)
        elif isinstance(message, Refused):
            self._answer.set_exception(NotServed(f"a worker cannot serve it: {message.reason}"))
