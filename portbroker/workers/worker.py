"""One worker: a process that serves what its supervisor hands it, on the sockets that it inherited.

The one rule: a worker accepts nothing before it is told to, and nothing after there is nobody to tell it.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from portbroker.app import Listening, run, serving, state_of
from portbroker.compile import compile_snapshot
from portbroker.config.load import Loaded
from portbroker.counters import Counters
from portbroker.errors import ConfigError
from portbroker.metrics import Counts
from portbroker.named import origins
from portbroker.origin import Origin
from portbroker.shared_responses import shared
from portbroker.snapshot import Snapshot
from portbroker.state import opened
from portbroker.status import Status
from portbroker.workers.messages import (
    Commit,
    Committed,
    Counted,
    Felt,
    Message,
    Prepare,
    Ready,
    Refused,
    Reported,
    Stop,
    Told,
)
from portbroker.workers.questions import Questions, Supervised
from portbroker.workers.talk import Talk, talking

log = logging.getLogger("portbroker")

FEEL_EVERY = 1.0
"""Seconds after which others know how providers are here."""


def work(
    channel: socket.socket, sockets: Sequence[socket.socket], counters: Counters | None = None, token: str = ""
) -> None:
    """Serve on `sockets` what comes through `channel`, until told to stop; calls under way end first.

    `counters` are those that all workers share; without them, there are no keys, and no usage is kept.
    """
    run(serve(channel, sockets, counters, token))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be served from the next moment on; `at` is when it was committed."""

    generation: int
    snapshot: Snapshot
    origins: Collection[Origin]
    loaded: Loaded
    directory: Path
    at: float = 0.0


async def serve(
    channel: socket.socket, sockets: Sequence[socket.socket], counters: Counters | None = None, token: str = ""
) -> None:
    """What `work` does, for an event loop that runs already."""
    loop = asyncio.get_running_loop()
    with channel.dup() as same:
        async with talking(channel) as talk:
            # Told to end, a worker ends as if it had heard the last of its supervisor. Told again, at once.
            loop.add_signal_handler(signal.SIGTERM, _hear_no_more, loop, same)
            await _follow(Orders(talk), sockets, counters, token)
            loop.remove_signal_handler(signal.SIGTERM)


async def _follow(orders: "Orders", sockets: Sequence[socket.socket], counters: Counters | None, token: str) -> None:
    first = await orders.next()
    if not isinstance(first, Prepared):
        return
    async with contextlib.AsyncExitStack() as stack:
        state = None if counters is None else state_of(first.loaded, first.directory, counters)
        if state is not None:
            await stack.enter_async_context(opened(state))
        max_body = first.loaded.config.server.max_body
        listening = await stack.enter_async_context(
            serving(first.snapshot, sockets, max_body=max_body, token=token, state=state, counted=orders.count)
        )
        if state is not None:
            sharing = shared(listening.gateway.kept, state.directory.path / "responses")
            listening.gateway.kept = await stack.enter_async_context(sharing)
        if counters is not None:
            listening.gateway.attempts.common.limits.share = counters.workers
        supervised = Supervised(Path(first.loaded.file), orders.questions)
        listening.parts.configuration, listening.parts.counts = supervised, supervised.counts
        listening.parts.health = supervised.health
        await stack.enter_async_context(_feeling(listening, orders))
        _switch(listening, first)
        orders.answer(Committed(first.generation))
        while (order := await orders.next()) is not None:
            if isinstance(order, Prepared):
                _switch(listening, order)
                orders.answer(Committed(order.generation))
            else:
                status = listening.gateway.status
                told = Status.of_json(order.status)
                listening.report(replace(told, revision=status.revision, loaded_at=status.loaded_at))


@contextlib.asynccontextmanager
async def _feeling(listening: Listening, orders: "Orders") -> AsyncIterator[None]:
    """Tell how providers are, every second that it has changed, until the context ends."""
    task = asyncio.create_task(_feel(listening, orders))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _feel(listening: Listening, orders: "Orders") -> None:
    told = None
    while True:
        if (view := listening.gateway.attempts.common.health.view()) != told:
            orders.answer(Felt(view))
            told = view
        await asyncio.sleep(FEEL_EVERY)


def _switch(listening: Listening, prepared: Prepared) -> None:
    listening.serve(prepared.snapshot, prepared.origins)
    status = listening.gateway.status
    listening.report(replace(status, revision=prepared.snapshot.revision, loaded_at=prepared.at))


def _hear_no_more(loop: asyncio.AbstractEventLoop, channel: socket.socket) -> None:
    loop.remove_signal_handler(signal.SIGTERM)
    channel.shutdown(socket.SHUT_RD)


class Orders:
    """The worker's end of the conversation: prepares what it is asked to."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._prepared: Prepared | None = None
        self.questions = Questions(talk.say)

    async def next(self) -> Prepared | Reported | None:
        """What is to be served, or told, from now on; None when it is time to stop."""
        while (message := await self._talk.next()) is not None:
            if isinstance(message, Prepare):
                # In a thread: calls under way must not wait for it.
                self.answer(await asyncio.to_thread(self._prepare, message))
            elif isinstance(message, Stop):
                return None
            elif isinstance(message, Reported):
                return message
            elif isinstance(message, Told):
                self.questions.hear(message)
            elif isinstance(message, Commit) and (due := self._prepared) and due.generation == message.generation:
                return replace(due, at=message.at)
        log.warning("hearing no more of the supervisor: calls under way may end, then this worker does")
        return None

    def answer(self, message: Message) -> None:
        self._talk.say(message)

    def count(self, counts: Counts) -> None:
        """Tell what calls have come to."""
        if counts:
            self._talk.say(Counted(counts.record()))

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
        self._prepared = Prepared(wanted.generation, snapshot, origins(snapshot), loaded, Path(wanted.directory))
        return Ready(wanted.generation)
