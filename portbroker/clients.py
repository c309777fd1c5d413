"""The connections of clients: HTTP/1.1 as they speak it, one request after the other.

What is not HTTP is answered quietly and counted; an idle connection ends; and a server that is told to stop ends
without losing a request. The one rule: nothing here knows what a request asks.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import cast

from portbroker.conversation import mint
from portbroker.dialects.registry import OPENAI_CHAT
from portbroker.errors import CallError
from portbroker.request import Request
from portbroker.request_parser import NotHttp, RequestParser
from portbroker.side import dumps
from portbroker.wire import Reply

log = logging.getLogger("portbroker.http")

IDLE = 75.0
"""Seconds that a connection may be idle, or take to send the head of a request."""
LINGER = 10.0
"""Seconds in which a client that was refused may go on sending what it had begun."""
_LAST_CHANCE = 0.5
"""Seconds that an idle connection stays open when the server stops: a request may be on its way."""
_FORCED = 0.1
"""Seconds in which calls that are cut off may clean up."""

Handle = Callable[[Request], Coroutine[None, None, Reply]]


class Clients:
    """All connections of clients; make one listen with `loop.create_server(clients.connect, ...)`.

    `malformed` counts requests that were not HTTP.
    """

    def __init__(self, handle: Handle, *, max_body: int) -> None:
        self.handle = handle
        self.max_body = max_body
        self.malformed = 0
        self._open: set[Connection] = set()
        self._changed = asyncio.Event()
        self._hurried = False

    def connect(self) -> "Connection":
        """The protocol for one new connection."""
        return Connection(self)

    def opened(self, connection: "Connection") -> None:
        self._open.add(connection)

    def closed(self, connection: "Connection") -> None:
        self._open.discard(connection)
        if not self._open:
            self._changed.set()

    def hurry(self) -> None:
        """End without waiting for calls under way."""
        self._hurried = True
        self._changed.set()

    async def end(self, seconds: float) -> None:
        """Let calls under way end for at most so long, then close what is left. Whoever listens has stopped before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty()
        if tasks := [task for connection in tuple(self._open) if (task := connection.cut_off())]:
            await asyncio.wait(tasks, timeout=_FORCED)

    async def _empty(self) -> None:
        """Returns when no connection is left, or nobody wants to wait any longer."""
        idle: set[Connection] = set()
        while self._open and not self._hurried:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_CHANCE):
                    await self._changed.wait()
            # Whoever was idle before and is so now: what served a call in between has told its client to go.
            before, idle = idle, {connection for connection in self._open if connection.idle}
            for connection in before & idle:
                connection.transport.close()


class Connection(asyncio.Protocol):
    """One client. Its requests are answered in their order, one at a time."""

    transport: asyncio.Transport

    def __init__(self, clients: Clients) -> None:
        self.writing_paused = False
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._parser: RequestParser | None = RequestParser(self, clients.max_body)
        self._requests: deque[Request] = deque()  # that wait for their turn
        self._task: asyncio.Task[None] | None = None
        self._malformed: NotHttp | None = None  # what came after all those
        self._reading_paused = False
        self._gone = False
        self._drained: asyncio.Future[None] | None = None
        self._idle_since = self._loop.time()

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._task is None

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, but not its type
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._timer = self._loop.call_later(IDLE, self._look)
        self._clients.opened(self)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return  # nothing more of it is heard
        self._requests += parser.feed(data)
        if self._requests and self._task is None:
            self._next()
        if parser.fault is not None:
            self._malformed = parser.fault
            self._deafen()
            if self._task is None:
                self._refuse(self._malformed)
        if self._requests and not self._reading_paused and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()  # or requests would pile up here

    def pause_writing(self) -> None:
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        self._rouse()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._deafen()
        self._requests.clear()
        self._timer.cancel()
        self._rouse()
        if self._task is not None:
            self._task.cancel()
        self._clients.closed(self)

    def _read_on(self) -> None:
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    def _deafen(self) -> None:
        if self._parser is not None:
            self._parser.close()
            self._parser = None

    # slow readers

    async def drained(self) -> None:
        """Returns when the client has caught up. Raises `ConnectionError` when it has gone."""
        if self.writing_paused and not self._gone:
            self._drained = self._loop.create_future()
            await self._drained
        if self._gone:
            raise ConnectionResetError

    def _rouse(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # requests

    def _next(self) -> None:
        self._task = self._loop.create_task(self._serve(self._requests.popleft()))
        if self._reading_paused and not self._requests:
            self._read_on()

    async def _serve(self, request: Request) -> None:
        """Have a request answered, then go on to what came after it."""
        keep_alive = False
        try:
            reply = await self._clients.handle(request)
            if self.writing_paused:
                await reply.drained()
            keep_alive = reply.keep_alive
        except ConnectionError:
            self.transport.abort()
        except Exception:
            # The outermost handler of all that serves here: a fault of ours must not leave the client waiting.
            log.exception("a request could not be answered")
            self.transport.abort()
        finally:
            self._task = None
        self._answered(request, keep_alive=keep_alive)

    def _answered(self, request: Request, *, keep_alive: bool) -> None:
        if not keep_alive:
            self._leave(patiently=not request.complete)
        elif self._requests:
            self._next()
        elif self._malformed is not None:
            self._refuse(self._malformed)
        else:
            self._idle_since = self._loop.time()

    def _refuse(self, fault: NotHttp) -> None:
        """Answer what is not HTTP. The path is not known, so neither is the dialect."""
        self._clients.malformed += 1
        log.debug("not HTTP: %s", fault)
        reply = Reply(Request(self, "", "", {}))
        message = f"this is not an HTTP request that can be read: {fault}"
        answer = OPENAI_CHAT.encode_error(CallError(message, status=fault.status), "")
        headers = {"content-type": "application/json", "x-request-id": mint("req_")}
        reply.whole(answer.status, headers, dumps(answer.body))
        self._leave(patiently=True)

    # how it ends

    def _leave(self, *, patiently: bool) -> None:
        """Close. To a client that may still be sending, say so first: what it was told would be lost otherwise."""
        self._deafen()
        if patiently and not self.transport.is_closing():
            self.transport.write_eof()
            self._read_on()  # what it still sends would make the system drop what it was told
            self._timer.cancel()
            self._timer = self._loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()

    def cut_off(self) -> asyncio.Task[None] | None:
        """Close at once; returns the call that is cancelled by that."""
        task = self._task
        if task is not None:
            task.cancel()
        self.transport.close()
        return task

    def _look(self) -> None:
        """It may have been idle for too long; calls do not move the timer, because there are many."""
        now = self._loop.time()
        due = (self._idle_since if self.idle else now) + IDLE
        if now >= due:
            self.transport.close()
        else:
            self._timer = self._loop.call_at(due, self._look)
