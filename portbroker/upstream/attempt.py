"""One request under way: its phases, how long each may take, and the one outcome that its sink hears of.

The one rule: after `end`, `fail` or `cancel` an attempt knows neither sink nor connection, so nothing can follow.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from portbroker.errors import ProviderError
from portbroker.upstream.faults import fault, timed_out
from portbroker.upstream.interface import Sink, UpstreamRequest

if TYPE_CHECKING:
    from portbroker.upstream.connection import Connection
    from portbroker.upstream.pool import Pool

_CONNECT, _FIRST_BYTE, _ANSWER = range(3)


class HttpAttempt:
    """An attempt on its way through a pool, over a connection, to its sink.

    Its deadline moves with every event, so it is only a number; a connection's alarm looks at it now and then.
    """

    __slots__ = (
        "_alarm", "_clock", "_ends", "_last", "_loop", "_phase", "connection", "paused", "pool", "request", "retried",
        "sent_at", "sink", "task", "wire",
    )  # fmt: skip

    def __init__(self, pool: "Pool", request: UpstreamRequest, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.request = request
        self.wire = b""
        self.sink: Sink | None = sink
        self.connection: Connection | None = None
        self.task: asyncio.Task[bool] | None = None
        self.paused = False
        self.retried = False
        self._loop = loop
        self._clock = loop.time
        self._alarm: asyncio.TimerHandle | None = None
        self._phase = _CONNECT
        self._last = self.sent_at = loop.time()
        self._ends = self._last + request.timeouts.total

    # What the relay calls

    def pause(self) -> None:
        self.paused = True
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        was_paused, self.paused = self.paused, False
        if was_paused and self.connection is not None:
            self._last = self._clock()  # the wait was for the client, not for the provider
            self.connection.watch(self.due())
            self.connection.resume()

    def progress(self) -> None:
        self._last = self._clock()

    def cancel(self) -> None:
        connection = self.connection
        self.leave()
        if connection is not None:
            connection.abort()

    # What pool and connection call

    def wait(self) -> None:
        """The wait for a connection begins."""
        self._phase = _CONNECT
        self._last = self._clock()
        self._alarm = self._loop.call_at(self.due(), self._expire)

    def again(self) -> None:
        """Its connection had been closed by the provider before it was used: begin anew, this once."""
        self.retried = True
        self.connection = None
        self.wait()

    def start(self, connection: "Connection") -> None:
        """The request is being written to this connection."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.task = None
        self.connection = connection
        self._phase = _FIRST_BYTE
        self._last = self.sent_at = self._clock()
        connection.watch(self.due())

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer is here."""
        self._phase = _ANSWER
        self._last = self._clock()
        if self.sink is not None:
            self.sink.head(status, headers)

    @property
    def begun(self) -> bool:
        """Whether the head of the answer came."""
        return self._phase == _ANSWER

    def due(self) -> float:
        """When this attempt is to fail, unless something happens before."""
        times = self.request.timeouts
        if self._phase == _ANSWER:
            return self._ends if self.paused else min(self._ends, self._last + times.idle)
        return min(self._ends, self._last + (times.connect if self._phase == _CONNECT else times.first_byte))

    def late(self) -> ProviderError:
        """Why it failed when it was due."""
        request, times = self.request, self.request.timeouts
        if self._clock() >= self._ends:
            return timed_out(request, "did not complete its answer", times.total)
        if self._phase == _CONNECT:
            through = f" through the proxy {request.origin.proxy}" if request.origin.proxy else ""
            what = f"could not be connected to{through}" if self.task else "had no free connection (all are in use)"
            return timed_out(request, what, times.connect)
        if self._phase == _FIRST_BYTE:
            return timed_out(request, "did not begin to answer", times.first_byte)
        return timed_out(request, "fell silent in the middle of its answer: nothing new came", times.idle)

    def leave(self) -> Sink | None:
        """The sink, to be told how it ended; the attempt is over."""
        sink, self.sink = self.sink, None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.connection is None and sink is not None:
            self.pool.forget(self)
        self.connection = None
        return sink

    def fail(self, error: ProviderError) -> None:
        """Tell the sink, unless it has heard an end already. A sink that raises is a bug to be reported, no more."""
        sink = self.leave()
        if sink is None:
            return
        try:
            sink.fail(error)
        except Exception as bug:  # whatever a sink does, the connections of others go on
            self.report(bug)

    def stop(self) -> None:
        """The transport is closing."""
        self.fail(fault(self.request, "was given up: the gateway is stopping"))

    def report(self, bug: Exception) -> None:
        """Show a sink's exception to the loop's exception handler."""
        self._loop.call_exception_handler({"message": "An upstream sink raised", "exception": bug})

    def _expire(self) -> None:
        """No connection came in time."""
        self._alarm = None
        self.fail(self.late())
