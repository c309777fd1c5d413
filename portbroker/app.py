"""Joins the parts and serves: the only module that knows all of them."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from portbroker.demo import DemoUpstream
from portbroker.errors import PortBrokerError
from portbroker.gateway import Gateway
from portbroker.snapshot import Snapshot
from portbroker.upstream import HttpUpstream

log = logging.getLogger("portbroker")

_DRAIN = 30.0
"""Seconds that calls under way may take to end once the server is told to stop."""
_IDLE = 75.0
"""Seconds that a connection may be idle, or take to send the head of a request."""
_BACKLOG = 2048


class StartError(PortBrokerError):
    """The server cannot start; the message says what to change."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway that serves, and where."""

    gateway: Gateway
    url: str


@contextlib.asynccontextmanager
async def running(snapshot: Snapshot, *, host: str, port: int, max_body: int) -> AsyncIterator[Listening]:
    """A gateway that serves on `host`:`port` (0: a free one) until the context ends; `max_body` in bytes.

    Raises `StartError` when it may not or cannot listen there.
    """
    if not is_loopback(host):
        raise StartError(
            f"refusing to listen on {host}: this version has no API keys, so anyone who reaches that address could "
            "spend your credentials; use 127.0.0.1 (server.host or HOST) and a proxy that authenticates"
        )
    upstream = HttpUpstream(local={"demo": DemoUpstream()})
    gateway = Gateway(snapshot, upstream)
    server = _server(gateway, max_body)
    try:
        listener = await asyncio.get_running_loop().create_server(server, host, port, backlog=_BACKLOG)
    except OSError as error:
        await upstream.close()
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set another port (server.port or PORT)"
        ) from error
    try:
        yield Listening(gateway, _url(listener))
    finally:
        listener.close()
        await _drain(gateway, server)
        await upstream.close()


def _server(gateway: Gateway, max_body: int) -> web.Server:
    """aiohttp's low-level server in front of the gateway: no router, no access log, bodies up to `max_body`."""
    loop = asyncio.get_running_loop()

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=max_body)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp asks of a response only what Reply offers: prepare, write_eof, keep_alive.
        return cast(web.StreamResponse, await gateway.handle(request))

    return web.Server(
        handle,
        request_factory=make_request,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=_IDLE,
        logger=logging.getLogger("portbroker.http"),
    )


def _url(listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _drain(gateway: Gateway, server: web.Server) -> None:
    """Let calls under way end, then close what is left."""
    gateway.draining = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN):
            await gateway.quiet()
    await server.shutdown(1.0)


async def serve(
    snapshot: Snapshot, *, host: str, port: int, max_body: int, started: "asyncio.Event | None" = None
) -> None:
    """Serve until SIGTERM or SIGINT; a second one does not wait for calls under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(snapshot, host=host, port=port, max_body=max_body) as listening:
        log.info("serving %s, revision %s", listening.url, snapshot.revision)
        await stop.wait()
        log.info("stopping: new calls are refused, calls under way may end")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
