"""One worker as the supervisor sees it: a process, and the socket to it.

The one rule: nothing here waits; what a worker does not take at once is kept for it.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from portbroker.workers.messages import Inbox, Message, NotUnderstood, encode

log = logging.getLogger("portbroker")

_TAKE = 64 * 1024


class Child:
    """A worker process. `began` is when it was started."""

    def __init__(self, pid: int, channel: socket.socket, began: float) -> None:
        self.pid = pid
        self.channel = channel
        self.began = began
        self._inbox = Inbox()
        self._outbox = bytearray()

    @property
    def unsent(self) -> bool:
        """Whether something is left for `flush`."""
        return bool(self._outbox)

    def send(self, message: Message) -> None:
        """Tell it, now or when it listens."""
        self._outbox += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what goes. A worker that hears nothing more is about to end: its death tells the rest."""
        try:
            while self._outbox:
                del self._outbox[: self.channel.send(self._outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self._outbox.clear()

    def heard(self) -> tuple[list[Message], bool]:
        """What it has said since, and whether it can say more."""
        messages: list[Message] = []
        try:
            while data := self.channel.recv(_TAKE):
                messages += self._inbox.feed(data)
        except BlockingIOError:
            return messages, True
        except NotUnderstood:
            self.signal(signal.SIGKILL)  # what it does, nobody can tell
        except OSError:
            pass
        return messages, False

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def ended(self) -> str | None:
        """How the process ended, in words; None when it has not."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return _ending(os.waitstatus_to_exitcode(status)) if pid else None


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def fork(work: Callable[[socket.socket], None], forget: Callable[[], None], began: float) -> Child:
    """A new process that does this work with the socket to us. `forget` closes there what is the supervisor's alone."""
    ours, theirs = socket.socketpair()
    # A signal to the newborn must not reach the supervisor's handlers, which it has until it sets its own.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if not pid:
            ours.close()
            _live(work, theirs, forget, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    ours.setblocking(False)
    return Child(pid, ours, began)


def _live(
    work: Callable[[socket.socket], None], channel: socket.socket, forget: Callable[[], None], mask: set[int]
) -> NoReturn:
    """The whole life of a worker process."""
    status = 1
    try:
        forget()
        _own_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work(channel)
        status = 0
    except BaseException:  # the outermost handler of this process: nothing may unwind into the supervisor's code
        log.exception("a worker failed")
    finally:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)


def _own_signals() -> None:
    """A terminal signals the whole group: what ends or reloads everything is the supervisor's to hear."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
