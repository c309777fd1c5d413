"""The watcher: a process that follows the file for a supervisor, which can neither watch nor compile without waiting.

The one rule: it serves nothing and decides nothing; what it finds is proposed, and served when every worker can.
"""

import asyncio
import logging
import socket
from pathlib import Path

from portbroker.app import run
from portbroker.compile import compile_snapshot
from portbroker.guard import Calls
from portbroker.history import history_of
from portbroker.reload import Found, NotServed, Reloader, reloading
from portbroker.status import Status
from portbroker.workers.messages import Committed, Look, Looked, Message, Prepare, Refused, Reported, Told
from portbroker.workers.questions import Questions, Unanswered
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
        tasks: set[asyncio.Task[None]] = set()
        file = Path(first.file)
        reloader = Reloader(file, loaded, compile_snapshot(loaded), workers, history_of(file, loaded))
        async with reloading(reloader):
            while (message := await talk.next()) is not None:
                if isinstance(message, Look) and message.number:
                    tasks.add(task := asyncio.create_task(_look(reloader, message, talk)))
                    task.add_done_callback(tasks.discard)
                elif isinstance(message, Look):
                    reloader.trigger(message.cause)
                else:
                    workers.hear(message)


async def _look(reloader: Reloader, look: Look, talk: Talk) -> None:
    """Reload for somebody who waits for what comes of it."""
    last = await reloader.reload(look.cause, dry=look.dry)
    talk.say(Looked(look.number, last.as_json()))


class Workers:
    """All workers, as a reload sees them: one that serves."""

    def __init__(self, talk: Talk, directory: Path) -> None:
        self._talk = talk
        self._directory = directory
        self._answer: asyncio.Future[None] | None = None
        self._questions = Questions(talk.say)

    async def switch(self, found: Found) -> None:
        """Returns when every worker serves it. Raises `NotServed`."""
        self._answer = asyncio.get_running_loop().create_future()
        self._talk.say(Prepare.of(found.loaded, 0, self._directory))
        await self._answer

    def report(self, status: Status) -> None:
        self._talk.say(Reported(status.as_json()))

    async def calls(self, revision: str, seconds: float) -> Calls:
        """The calls that all workers have answered by a revision in the last seconds; none when nobody can say."""
        try:
            told = await self._questions.ask("calls", revision=revision, seconds=seconds)
        except Unanswered:
            return Calls(0, 0)
        return Calls(told["number"], told["failed"])

    def hear(self, message: Message) -> None:
        """An answer, or what became of the proposal."""
        if isinstance(message, Told):
            self._questions.hear(message)
        if self._answer is None or self._answer.done():
            return
        if isinstance(message, Committed):
            self._answer.set_result(None)
        elif isinstance(message, Refused):
            self._answer.set_exception(NotServed(f"a worker cannot serve it: {message.reason}"))
