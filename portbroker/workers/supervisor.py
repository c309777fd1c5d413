"""The supervisor: starts workers, hands each the configuration, starts another for one that dies, ends them all.

The one rule: no event loop, no thread, and nothing that waits but one `select`; so it can fork at any time.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from portbroker.app import DRAIN
from portbroker.counters import Counters
from portbroker.listening import StartError, close, url_of
from portbroker.workers.child import Child, fork
from portbroker.workers.desk import Desk
from portbroker.workers.messages import (
    Asked,
    Committed,
    Counted,
    Felt,
    Look,
    Looked,
    Message,
    Prepare,
    Ready,
    Refused,
    Reported,
    Stop,
)
from portbroker.workers.restarts import Restarts
from portbroker.workers.rollout import Rollout
from portbroker.workers.signals import Signals

log = logging.getLogger("portbroker")

Work = Callable[[socket.socket, Sequence[socket.socket]], None]
_ENOUGH = 5
"""Workers that may die in a row before any has ever become ready."""
_MARGIN = 5.0
"""Seconds that a worker may take beyond the calls under way."""
_HEARD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _apart(work: Callable[[socket.socket], None], sockets: Sequence[socket.socket], channel: socket.socket) -> None:
    """Work that has no use for the sockets: held open, they would keep the port when nobody serves there."""
    close(sockets)
    work(channel)


def _numbered(
    work: Work, sockets: Sequence[socket.socket], counters: Counters | None, number: int, channel: socket.socket
) -> None:
    """Work that counts its calls in a column of its own."""
    if counters is not None:
        counters.attach(number)
    work(channel, sockets)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class _Place:
    """Where one process is at a time, to do this work; `due` is when the next one is started."""

    what: str
    work: Callable[[socket.socket], None]
    hear: Callable[[Child, Message], None]
    due: float = 0.0
    child: Child | None = None
    gone: Callable[[], None] | None = None
    """What is to be done when its process has ended."""
    restarts: Restarts = field(default_factory=Restarts)


class Supervisor:
    """Keeps `count` workers alive that all serve on `sockets` what `prepare` says, and what its file becomes.

    `work` is what a worker does with the socket to its supervisor and with these, `watch` what the watcher does with
    its own. `drain` is how many seconds the calls under way have to end. In `counters` each worker has its column.
    """

    def __init__(
        self,
        prepare: Prepare,
        sockets: Sequence[socket.socket],
        work: Work,
        watch: Callable[[socket.socket], None],
        *,
        count: int,
        drain: float = DRAIN,
        counters: Counters | None = None,
    ) -> None:
        if not hasattr(os, "fork"):
            raise StartError("several workers need a system that can fork; set server.workers to 1")
        self._sockets = sockets
        self._drain = drain
        self._rollout = Rollout(prepare, self._tell, time.time())
        self._workers = [self._place(partial(_numbered, work, sockets, counters, n), counters, n) for n in range(count)]
        self._watcher = _Place("watcher", partial(_apart, watch, sockets), self._take_of_watcher)
        self._desk = Desk(self._tell, lambda: self._watcher.child, self._rollout)
        self._selector = selectors.DefaultSelector()
        self._signals = Signals(_HEARD)
        self._serving = False
        self._stopping = False
        self._end: float | None = None  # when workers that have not ended by themselves are killed
        self._status = 0
        self._failure = ""

    def run(self) -> int:
        """The exit status, once told to stop. Raises `StartError` when no worker can be made to serve."""
        self._selector.register(self._signals.socket, selectors.EVENT_READ, self._signalled)
        with contextlib.closing(self._selector), self._signals.heard():
            while not self._done():
                self._start_due()
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._rollout.expire(time.monotonic())
                self._kill_late()
        if self._failure:
            raise StartError(self._failure)
        return self._status

    def _place(self, work: Callable[[socket.socket], None], counters: Counters | None, number: int) -> _Place:
        """Where one worker is at a time. When it dies, its calls are under way no more."""
        return _Place("worker", work, self._take, gone=partial(counters.take_back, number) if counters else None)

    # time

    def _done(self) -> bool:
        return self._stopping and not self._children()

    def _patience(self) -> float | None:
        """Seconds until something is due, None when nothing is."""
        if self._done():
            return 0.0
        due = [] if self._stopping else [place.due for place in self._wanted() if not place.child]
        due += [moment for moment in (self._end, self._rollout.deadline) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._wanted():
            if not self._stopping and not place.child and place.due <= now:
                self._start(place, now)

    def _kill_late(self) -> None:
        if self._end is not None and time.monotonic() >= self._end:
            for child in self._children():
                log.error("process %d does not end: killing it", child.pid)
            self._kill(status=1)

    # processes

    def _wanted(self) -> list[_Place]:
        """The places that should not be empty. Nobody watches before anybody serves."""
        return [*self._workers, self._watcher] if self._serving else self._workers

    def _children(self) -> list[Child]:
        return [place.child for place in (*self._workers, self._watcher) if place.child]

    def _start(self, place: _Place, now: float) -> None:
        try:
            place.child = child = fork(place.work, self._forget, now)
        except OSError as error:  # no process, memory or file descriptor is free: those that run go on
            self._replace(place, f"a {place.what}", 0.0, f"could not be started ({error.strerror})")
            return
        self._selector.register(child.channel, selectors.EVENT_READ, partial(self._hear, place))
        if place is self._watcher:
            log.info("watcher %d follows %s", child.pid, self._rollout.current.file)
            self._tell(child, self._rollout.current)
        else:
            self._rollout.joined(child)

    def _tell(self, child: Child, message: Message) -> None:
        child.send(message)
        with contextlib.suppress(KeyError):  # it hears nothing more
            self._watch(child)

    def _forget(self) -> None:
        """Close, in a new worker, what is the supervisor's alone: a worker that held the socket to another would keep
        it from hearing that the supervisor is gone."""
        self._selector.close()
        self._signals.close()
        for child in self._children():
            child.channel.close()

    def _hear(self, place: _Place) -> None:
        if not (child := place.child):
            return
        child.flush()
        messages, more = child.heard()
        for message in messages:
            place.hear(child, message)
        if more:
            self._watch(child)
        else:
            self._deaf(child)

    def _take(self, child: Child, message: Message) -> None:
        """What a worker says."""
        if isinstance(message, Ready):
            self._rollout.ready(child, message.generation, time.time())
        elif isinstance(message, Committed):
            if self._rollout.committed(child, message.generation):
                log.info("worker %d serves revision %s", child.pid, self._rollout.current.revision)
            self._announce()
        elif isinstance(message, Counted):
            self._desk.count(message)
        elif isinstance(message, Felt):
            self._desk.feel(child, message)
        elif isinstance(message, Asked):
            self._desk.ask(child, message)
        elif isinstance(message, Refused) and self._rollout.refused(child, message.generation, message.reason):
            revision = self._rollout.current.revision
            log.error("worker %d cannot serve revision %s: %s", child.pid, revision, message.reason)
            if not self._serving:
                self._fail(f"a worker cannot serve the configuration: {message.reason}")
            self._tell(child, Stop())

    def _take_of_watcher(self, child: Child, message: Message) -> None:
        """What the watcher says: what the file has become, or how a reload went."""
        if isinstance(message, Prepare):
            self._rollout.propose(message, partial(self._answer, child), time.monotonic(), time.time())
        elif isinstance(message, Reported):
            self._desk.report(message)
            self._rollout.report(message)
        elif isinstance(message, Looked):
            self._desk.looked(message)
        elif isinstance(message, Asked):
            self._desk.ask(child, message)

    def _answer(self, watcher: Child, message: Message) -> None:
        """Tell a watcher what became of its proposal, if it still waits for that."""
        if self._watcher.child is watcher:
            self._tell(watcher, message)

    def _announce(self) -> None:
        if not self._serving:
            self._serving = True
            log.info("serving %s, revision %s, %d workers", url_of(self._sockets), self._rollout.current.revision,
                     len(self._workers))  # fmt: skip

    def _watch(self, child: Child) -> None:
        """Wake when it speaks, and while something is left to tell it, when it listens."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.unsent else 0)
        key = self._selector.get_key(child.channel)
        if key.events != wanted:
            self._selector.modify(child.channel, wanted, key.data)

    def _deaf(self, child: Child) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.channel)

    # their end

    def _bury(self) -> None:
        """Take note of the workers that have ended."""
        for place in (*self._workers, self._watcher):
            if (child := place.child) and (how := child.ended()):
                self._hear(place)  # its last words
                self._deaf(child)
                child.channel.close()
                place.child = None
                if place.gone is not None:
                    place.gone()
                self._replace(place, f"{place.what} {child.pid}", time.monotonic() - child.began, how)
                self._rollout.left(child, time.time())
                self._desk.left(child, watcher=place is self._watcher)

    def _replace(self, place: _Place, who: str, lived: float, how: str) -> None:
        wait = place.restarts.after(lived)
        if self._stopping:
            if place is not self._watcher:
                log.log(logging.INFO if how.endswith("status 0") else logging.ERROR, "%s %s", who, how)
        elif not self._serving and place.restarts.failures >= _ENOUGH:
            self._fail(f"{_ENOUGH} workers in a row ended before any could serve; the last one {how}")
        else:
            place.due = time.monotonic() + wait
            log.warning("%s %s; another starts in %.1f s", who, how, wait)

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._stop()

    def _stop(self) -> None:
        """Let every worker end its calls, then end."""
        if not self._stopping:
            self._stopping, self._end = True, time.monotonic() + self._drain + _MARGIN
            close(self._sockets)
            for child in self._children():
                self._tell(child, Stop())
            if self._watcher.child:
                self._watcher.child.signal(signal.SIGKILL)  # it holds nothing that could be lost

    def _kill(self, *, status: int) -> None:
        """Wait for nothing any more but the ends of the processes."""
        for child in self._children():
            child.signal(signal.SIGKILL)
        self._status, self._end = status, None

    # signals

    def _signalled(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGCHLD:
                self._bury()
            elif number == signal.SIGHUP:
                if self._watcher.child:
                    self._tell(self._watcher.child, Look("SIGHUP"))
            elif not self._stopping:
                log.info("stopping: new calls are refused, calls under way have %d s to end; again to end at once",
                         self._drain)  # fmt: skip
                self._stop()
            else:
                self._kill(status=128 + number)
