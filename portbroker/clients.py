"""The connections of clients: aiohttp's low-level server as PortBroker needs it.

Without router and access log; what is not HTTP is answered quietly and counted; an idle connection ends; and a server
that is told to stop ends without losing a request. The one rule: nothing here knows what a request asks.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader

from portbroker import web
from portbroker.conversation import mint
from portbroker.dialects.registry import OPENAI_CHAT
from portbroker.errors import CallError
from portbroker.side import dumps
from portbroker.wire import Reply

log = logging.getLogger("portbroker.http")

IDLE = 75.0
"""Seconds that a connection may be idle, or take to send the head of a request."""
_LAST_CHANCE = 0.5
"""Seconds that an idle connection stays open when the server stops: a request may be on its way."""
_FORCED = 0.1
"""Seconds in which calls that are cut off may clean up."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Clients(web.Server):
    """All connections of clients; make one listen with `loop.create_server(clients.connect, ...)`.

    `malformed` counts requests that were not HTTP.
    """

    def __init__(self, handle: Handle, *, max_body: int) -> None:
        super().__init__(handle, request_factory=self._request, handler_cancellation=True)
        self.malformed = 0
        self._max_body = max_body
        self._open: set[_Connection] = set()  # aiohttp's own list keeps some that are gone
        self._changed = asyncio.Event()
        self._hurried = False

    def connect(self) -> "_Connection":
        """The protocol for one new connection."""
        return _Connection(self)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=self._max_body)

    def opened(self, connection: "_Connection") -> None:
        self._open.add(connection)

    def closed(self, connection: "_Connection") -> None:
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
        await self.shutdown(_FORCED)

    async def _empty(self) -> None:
        """Returns when no connection is left, or nobody wants to wait any longer."""
        idle: set[_Connection] = set()
        while self._open and not self._hurried:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_CHANCE):
                    await self._changed.wait()
            # Whoever was idle before and is so now: what served a call in between has told its client to go.
            before, idle = idle, {connection for connection in self._open if connection.idle}
            for connection in before & idle:
                connection.force_close()


class _Connection(web.RequestHandler):
    """One client. Everything that it sends is aiohttp's to parse."""

    __slots__ = ("_clients",)

    def __init__(self, clients: Clients) -> None:
        loop = asyncio.get_running_loop()
        # Bodies are unpacked where they are read: the parser's errors would end the connection without an answer.
        super().__init__(
            clients,
            loop=loop,
            keepalive_timeout=IDLE,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own server does
            logger=log,
            auto_decompress=False,
        )
        self._clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._clients.opened(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._clients.closed(self)

    def resume_reading(self, resume_parser: bool = True) -> None:
        # A body that is read asks for more each time; where nothing was paused, aiohttp would parse nothing at length.
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and self._current_request is not None:
            body = self._current_request.content
            if not body.is_eof():  # what follows an unended body is no request: it broke into garbage
                body.set_exception(web.RequestPayloadError("the body is not framed as HTTP says"))

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP. The path is not known, so neither is the dialect."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._clients.malformed += 1
        log.debug("not HTTP: %s", type(exc).__name__)
        reply = Reply(request)
        reply.keep_alive = False
        answer = OPENAI_CHAT.encode_error(CallError(_reason(exc), status=_status(exc)), "")
        headers = {"content-type": "application/json", "x-request-id": mint("req_")}
        reply.whole(answer.status, headers, dumps(answer.body))
        return cast(web.StreamResponse, reply)

    def log_exception(self, *args: object, **kw: object) -> None:
        """A body that breaks off was told to the client, and is no fault of ours."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


def _status(error: HttpProcessingError) -> int:
    return 431 if isinstance(error, LineTooLong) else 400


def _reason(error: HttpProcessingError) -> str:
    """What is wrong, without the bytes that aiohttp quotes: they may hold a credential."""
    if isinstance(error, LineTooLong):
        return "the request line or a header is longer than 8190 bytes"
    reason = error.message.partition("\n")[0].rstrip(".:")
    return f"this is not an HTTP request that can be read: {reason}"
