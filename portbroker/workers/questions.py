"""What a worker or a watcher asks its supervisor, and the answers.

The one rule: who asks waits for its own answer, and hears of it when there will be none.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from portbroker.conversation import Json
from portbroker.errors import PortBrokerError, Problem
from portbroker.metrics import Counts
from portbroker.status import LastReload, Status
from portbroker.workers.messages import Asked, Message, Told

PATIENCE = 60.0
"""Seconds that an answer may take: a reload may wait for another, and for workers to prepare."""


class Unanswered(PortBrokerError):
    """The supervisor does not answer."""


class Questions:
    """The questions under way."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Json]] = {}

    async def ask(self, what: str, **body: object) -> Json:
        """The answer. Raises `Unanswered`."""
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._say(Asked(number, what, dict(body)))
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise Unanswered(f"the supervisor said nothing within {PATIENCE:.0f} s") from None
        finally:
            self._waiting.pop(number, None)

    def hear(self, told: Told) -> None:
        """An answer has come."""
        answer = self._waiting.get(told.number)
        if answer is None or answer.done():
            return
        if "unanswered" in told.body:
            answer.set_exception(Unanswered(str(told.body["unanswered"])))
        else:
            answer.set_result(told.body)


class Supervised:
    """The file that all workers serve, as one of them reaches it."""

    def __init__(self, path: Path, questions: Questions) -> None:
        self.path = path
        self._questions = questions

    async def reload(self, cause: str, *, dry: bool = False) -> LastReload:
        """How it went, once every worker serves it."""
        try:
            return LastReload.of_json(await self._questions.ask("reload", cause=cause, dry=dry))
        except Unanswered as error:
            return LastReload(time.time(), False, cause, (Problem(str(self.path), 0, 0, str(error)),))

    async def told(self) -> Json:
        """What is served, by whom, and how the last reload went. Raises `Unanswered`."""
        return await self._questions.ask("configuration")

    async def health(self) -> list[Json]:
        """How providers are, as each worker had it a second ago at most. Raises `Unanswered`."""
        told: list[Json] = (await self._questions.ask("health"))["workers"]
        return told

    async def counts(self) -> tuple[Counts, Status]:
        """What all workers have counted, and how reloading goes. Raises `Unanswered`."""
        told = await self._questions.ask("counts")
        return Counts.of(told["counts"]), Status.of_json(told["status"])
