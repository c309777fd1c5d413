"""Signals as something to select on: none comes between two lines of code. The one rule: handlers do nothing."""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence


class Signals:
    """The signals that have come; `socket` is readable when there are any."""

    def __init__(self, numbers: Sequence[signal.Signals]) -> None:
        self._numbers = numbers
        self._written, self.socket = socket.socketpair()
        self._written.setblocking(False)
        self.socket.setblocking(False)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """From here on these signals only come here."""
        before: list[tuple[signal.Signals, Callable[..., object] | int | None]] = []
        try:
            signal.set_wakeup_fd(self._written.fileno())
            before = [(number, signal.signal(number, lambda *_: None)) for number in self._numbers]
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before:
                signal.signal(number, handler)

    def take(self) -> bytes:
        """The numbers of those that have come."""
        return self.socket.recv(4096)

    def close(self) -> None:
        """In a new process: they are another's."""
        self._written.close()
        self.socket.close()
