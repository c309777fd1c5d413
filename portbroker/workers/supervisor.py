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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from portbroker.app import DRAIN
from portbroker.listening import StartError, close, url_of
from portbroker.workers.child import Child, fork
from portbroker.workers.messages import Commit, Committed, Message, Prepare, Ready, Refused, Stop
from portbroker.workers.restarts import Restarts

log = logging.getLogger("portbroker")

Work = Callable[[socket.socket, Sequence[socket.socket]], None]
_ENOUGH = 5
"""Workers that may die in a row before any has ever become ready."""
_MARGIN = 5.0
"""Seconds that a worker may take beyond the calls under way."""
_HEARD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class _Place:
    """Where one worker serves at a time; `due` is when the next one is started."""

    due: float = 0.0
    child: Child | None = None
    restarts: Restarts = field(default_factory=Restarts)


class Supervisor:
    """Keeps `count` workers alive that all serve on `sockets` what `prepare` says.

    `work` is what a worker does with the socket to its supervisor and with these. `drain` is how many seconds the
    calls under way have to end.
    """

    def __init__(
        self, prepare: Prepare, sockets: Sequence[socket.socket], work: Work, *, count: int, drain: float = DRAIN
    ) -> None:
        if not hasattr(os, "fork"):
            raise StartError("several workers need a system that can fork; set server.workers to 1")
        self._prepare = prepare
        self._sockets = sockets
        self._work = lambda channel: work(channel, sockets)
        self._drain = drain
        self._places = [_Place() for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        self._signals = socket.socketpair()
        self._serving = False
        self._stopping = False
        self._end: float | None = None  # when workers that have not ended by themselves are killed
        self._status = 0
        self._failure = ""

    def run(self) -> int:
        """The exit status, once told to stop. Raises `StartError` when no worker can be made to serve."""
        with self._hearing_signals():
            while not self._done():
                self._start_due()
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._kill_late()
        if self._failure:
            raise StartError(self._failure)
        return self._status

    # time

    def _done(self) -> bool:
        return self._stopping and not self._children()

    def _patience(self) -> float | None:
        """Seconds until something is due, None when nothing is."""
        if self._done():
            return 0.0
        due = [] if self._stopping else [place.due for place in self._places if not place.child]
        if self._end is not None:
            due.append(self._end)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not self._stopping and not place.child and place.due <= now:
                self._start(place, now)

    def _kill_late(self) -> None:
        if self._end is not None and time.monotonic() >= self._end:
            for child in self._children():
                log.error("worker %d does not end: killing it", child.pid)
            self._kill(status=1)

    # workers

    def _children(self) -> list[Child]:
        return [place.child for place in self._places if place.child]

    def _start(self, place: _Place, now: float) -> None:
        try:
            place.child = child = fork(self._work, self._forget, now)
        except OSError as error:  # no process, memory or file descriptor is free: those that run go on
            self._replace(place, "a worker", 0.0, f"could not be started ({error.strerror})")
            return
        self._selector.register(child.channel, selectors.EVENT_READ, partial(self._hear, place))
        self._tell(child, self._prepare)

    def _tell(self, child: Child, message: Message) -> None:
        child.send(message)
        with contextlib.suppress(KeyError):  # it hears nothing more
            self._watch(child)

    def _forget(self) -> None:
        """Close, in a new worker, what is the supervisor's alone: a worker that held the socket to another would keep
        it from hearing that the supervisor is gone."""
        self._selector.close()
        for end in self._signals:
            end.close()
        for child in self._children():
            child.channel.close()

    def _hear(self, place: _Place) -> None:
        if not (child := place.child):
            return
        child.flush()
        messages, more = child.heard()
        for message in messages:
            self._take(child, message)
        if more:
            self._watch(child)
        else:
            self._deaf(child)

    def _take(self, child: Child, message: Message) -> None:
        if isinstance(message, Ready):
            self._tell(child, Commit(message.generation))
        elif isinstance(message, Committed):
            log.info("worker %d serves revision %s", child.pid, self._prepare.revision)
            self._announce()
        elif isinstance(message, Refused):
            log.error("worker %d cannot serve revision %s: %s", child.pid, self._prepare.revision, message.reason)
            if not self._serving:
                self._fail(f"a worker cannot serve the configuration: {message.reason}")
            self._tell(child, Stop())

    def _announce(self) -> None:
        if not self._serving:
            self._serving = True
            log.info("serving %s, revision %s, %d workers", url_of(self._sockets), self._prepare.revision,
                     len(self._places))  # fmt: skip

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
        for place in self._places:
            if (child := place.child) and (how := child.ended()):
                self._hear(place)  # its last words
                self._deaf(child)
                child.channel.close()
                place.child = None
                self._replace(place, f"worker {child.pid}", time.monotonic() - child.began, how)

    def _replace(self, place: _Place, who: str, lived: float, how: str) -> None:
        wait = place.restarts.after(lived)
        if self._stopping:
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

    def _kill(self, *, status: int) -> None:
        """Wait for nothing any more but the ends of the processes."""
        for child in self._children():
            child.signal(signal.SIGKILL)
        self._status, self._end = status, None

    # signals

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Signals as bytes on a socket: none comes between two lines of code."""
        written, read = self._signals
        written.setblocking(False)
        read.setblocking(False)
        self._selector.register(read, selectors.EVENT_READ, self._signalled)
        before: list[tuple[signal.Signals, Callable[..., object] | int | None]] = []
        try:
            signal.set_wakeup_fd(written.fileno())
            before = [(number, signal.signal(number, lambda *_: None)) for number in _HEARD]
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before:
                signal.signal(number, handler)
            self._selector.close()

    def _signalled(self) -> None:
        for number in self._signals[1].recv(4096):
            if number == signal.SIGCHLD:
                self._bury()
            elif number == signal.SIGHUP:
                log.warning("SIGHUP does nothing: the file is read at start; start again to serve it as it is now")
            elif not self._stopping:
                log.info("stopping: new calls are refused, calls under way have %d s to end; again to end at once",
                         self._drain)  # fmt: skip
                self._stop()
            else:
                self._kill(status=128 + number)
