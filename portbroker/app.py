"""Joins the parts and serves: the only module that knows all of them."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from portbroker.auth import is_loopback
from portbroker.clients import Clients
from portbroker.demo import DemoUpstream
from portbroker.errors import PortBrokerError
from portbroker.gateway import Gateway
from portbroker.snapshot import Snapshot
from portbroker.upstream import HttpUpstream

log = logging.getLogger("portbroker")

_DRAIN = 30.0
"""Seconds that calls under way may take to end once the server is told to stop."""
_BACKLOG = 2048


class StartError(PortBrokerError):
    """The server cannot start; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway that serves, to whom, and where."""

    gateway: Gateway
    clients: Clients
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
    clients = _clients(gateway, max_body)
    try:
        listener = await asyncio.get_running_loop().create_server(clients.connect, host, port, backlog=_BACKLOG)
    except OSError as error:
        await upstream.close()
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set another port (server.port or PORT)"
        ) from error
    try:
        yield Listening(gateway, clients, _url(listener))
    finally:
        listener.close()
        gateway.draining = True
        await clients.end(_DRAIN)
        await upstream.close()


def _clients(gateway: Gateway, max_body: int) -> Clients:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp asks of a response only what Reply offers: prepare, write_eof, keep_alive.
        return cast(web.StreamResponse, await gateway.handle(request))

    return Clients(handle, max_body=max_body)


def _url(listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(snapshot: Snapshot, *, host: str, port: int, max_body: int) -> None:
    """Serve until SIGTERM or SIGINT; a second one does not wait for calls under way."""
    stop = asyncio.Event()
    _on_signal(stop.set)
    async with running(snapshot, host=host, port=port, max_body=max_body) as listening:
        log.info("serving %s, revision %s", listening.url, snapshot.revision)
        await stop.wait()
        _on_signal(listening.clients.hurry)
        log.info("stopping: new calls are refused, calls under way have %d s to end; again to end at once", _DRAIN)
    log.info("stopped")


def _on_signal(act: Callable[[], None]) -> None:
    """What SIGTERM and SIGINT do from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, act)
