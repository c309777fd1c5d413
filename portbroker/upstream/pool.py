"""The connections to one origin: which are idle, how many there may be, who waits for one.

The one rule: a slot is taken before a connection is opened and given back once, when it is gone; whoever has waited
longest gets it.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from portbroker.origin import Origin
from portbroker.upstream.attempt import HttpAttempt
from portbroker.upstream.connection import Connection
from portbroker.upstream.dialing import Dialer
from portbroker.upstream.faults import unreachable
from portbroker.upstream.head import Heads
from portbroker.upstream.limits import Limits


class Pool:
    """Connections to one origin. The last one used is the first one used again, so that the surplus can expire."""

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        dialer: Dialer,
        loop: asyncio.AbstractEventLoop,
        emptied: Callable[[], None],
    ) -> None:
        self.origin = origin
        self.limits = limits
        self.loop = loop
        self.retired = False
        """No longer in the configuration: connections close as soon as they are free."""
        self.connections: set[Connection] = set()
        self.heads = Heads()
        self._dialer = dialer
        self._emptied = emptied
        self._idle: list[Connection] = []  # in the order of their last use: the oldest first
        self._waiting: deque[HttpAttempt] = deque()
        self._dialling: dict[asyncio.Task[bool], HttpAttempt] = {}
        self._slots = limits.connections
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def empty(self) -> bool:
        return self._slots == self.limits.connections and not self._waiting

    def take(self) -> Connection | None:
        """An idle connection, the one used last."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def queue(self, attempt: HttpAttempt) -> None:
        """Open a connection for this attempt, or let it wait for one."""
        attempt.wait()
        if self._slots > 0:
            self._dial(attempt)
        else:
            self._waiting.append(attempt)

    def forget(self, attempt: HttpAttempt) -> None:
        """This attempt needs no connection any more."""
        if attempt.task is not None:
            attempt.task.cancel()
        elif attempt in self._waiting:
            self._waiting.remove(attempt)

    def release(self, connection: Connection) -> None:
        """Take back a connection that can serve again."""
        if self._waiting:
            connection.begin(self._waiting.popleft())
        elif self.retired or len(self._idle) >= self.limits.idle_connections:
            connection.transport.close()
        else:
            connection.idle_since = self.loop.time()
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = self.loop.call_later(self.limits.idle_seconds, self._expire)

    def lost(self, connection: Connection, stale: HttpAttempt | None) -> None:
        """A connection is gone. A `stale` attempt, which it failed through no fault of its own, goes first."""
        if connection not in self.connections:
            return  # it was never taken over: the task that opened it gives the slot back
        self.connections.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._slots += 1
        if stale is not None:
            stale.again()
            self._dial(stale)
        self._slot_free()

    def retire(self) -> None:
        """Close what is idle, and from now on whatever becomes so."""
        self.retired = True
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()

    async def close(self) -> None:
        """End everything: attempts fail, connections close."""
        self.retire()
        if self._sweep is not None:
            self._sweep.cancel()
        for attempt in (*self._waiting, *self._dialling.values()):
            attempt.stop()
        for connection in tuple(self.connections):
            connection.stop()
        await asyncio.gather(*self._dialling, return_exceptions=True)

    def _dial(self, attempt: HttpAttempt) -> None:
        self._slots -= 1
        attempt.task = task = self.loop.create_task(self._connect(attempt))
        self._dialling[task] = attempt
        task.add_done_callback(self._dialled)

    async def _connect(self, attempt: HttpAttempt) -> bool:
        """Open a connection for one attempt. True: the slot is the connection's from now on."""
        try:
            connection = await self._dialer.dial(self.origin, lambda: Connection(self))
        except Exception as error:  # whatever a resolver, a trust store or TLS raises, the attempt must hear of it
            attempt.task = None
            attempt.fail(unreachable(attempt.request, error))
            return False
        self.connections.add(connection)
        if attempt.sink is None:  # it ended while the connection was made, too late to stop that
            self.release(connection)
        else:
            connection.begin(attempt)
        return True

    def _dialled(self, task: asyncio.Task[bool]) -> None:
        del self._dialling[task]
        if task.cancelled() or not task.result():
            self._slots += 1
            self._slot_free()

    def _slot_free(self) -> None:
        if self._slots > 0 and self._waiting:
            self._dial(self._waiting.popleft())
        elif self.empty:
            self._emptied()

    def _expire(self) -> None:
        """Close what was not used for too long."""
        self._sweep = None
        oldest = self.loop.time() - self.limits.idle_seconds
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).transport.close()
        if self._idle:
            due = self._idle[0].idle_since + self.limits.idle_seconds
            self._sweep = self.loop.call_at(due, self._expire)
