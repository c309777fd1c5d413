"""Joins the parts and serves: the only module that knows all of them."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from portbroker.admin import serves
from portbroker.admin.parts import Admin, Parts
from portbroker.clients import Clients
from portbroker.config.load import Loaded
from portbroker.counters import Counters
from portbroker.demo import DemoUpstream
from portbroker.errors import StoreError
from portbroker.gateway import Gateway
from portbroker.guard import Calls
from portbroker.history import history_of
from portbroker.listening import BACKLOG, StartError, bind, url_of, waiting
from portbroker.memory import give_back_large_buffers, spare_garbage_collector
from portbroker.metrics import Counts, Ledger, Meter
from portbroker.named import moved
from portbroker.origin import Origin
from portbroker.probes import Probes
from portbroker.reload import Found, Reloader, reloading
from portbroker.request import Request
from portbroker.server_file import announced, new_token
from portbroker.snapshot import Snapshot
from portbroker.state import State, make_state, opened
from portbroker.state_dir import StateError
from portbroker.status import Status
from portbroker.upstream import HttpUpstream
from portbroker.wire import Reply

log = logging.getLogger("portbroker")

_ENDING = (signal.SIGTERM, signal.SIGINT)
_RELOADING = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()

COUNT_EVERY = 1.0
"""Seconds between two sums over what was counted of calls."""
DRAIN = 30.0
"""Seconds that calls under way may take to end once the server is told to stop."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway that serves, to whom, and where."""

    gateway: Gateway
    clients: Clients
    url: str
    upstream: HttpUpstream
    parts: Parts
    ledger: Ledger

    def serve(self, snapshot: Snapshot, origins: Collection[Origin]) -> None:
        """Serve this from the next call on; connections that go elsewhere end as soon as they are free."""
        for name in moved(self.gateway.snapshot, snapshot):
            self.gateway.attempts.common.health.forget(name)
        self.gateway.snapshot = snapshot
        self.upstream.keep(origins)

    async def switch(self, found: Found) -> None:
        """Serve what a reload has found."""
        self.serve(found.snapshot, found.origins)

    def report(self, status: Status) -> None:
        """Say so to those who ask how it is."""
        self.gateway.status = status

    async def calls(self, revision: str, seconds: float) -> Calls:
        """The calls that a revision has answered in the last seconds."""
        await self.parts.counts()  # brings the ledger up to date
        return self.ledger.calls(revision, seconds)


@contextlib.asynccontextmanager
async def running(
    snapshot: Snapshot, *, host: str, port: int, max_body: int, token: str = "", state: State | None = None
) -> AsyncIterator[Listening]:
    """A gateway that serves on `host`:`port` (0: a free one) until the context ends; `max_body` in bytes.

    Raises `StartError` when it may not or cannot listen there.
    """
    sockets = bind(host, port, keys=state is not None)
    async with serving(snapshot, sockets, max_body=max_body, token=token, state=state) as listening:
        yield listening


@contextlib.asynccontextmanager
async def serving(
    snapshot: Snapshot,
    sockets: Sequence[socket.socket],
    *,
    max_body: int,
    token: str = "",
    counted: Callable[[Counts], None] | None = None,
    state: State | None = None,
) -> AsyncIterator[Listening]:
    """A gateway that serves on sockets that listen already, until the context ends; then they are closed.

    `token` signs commands of the same OS user in to its admin API. `counted` takes what was counted of calls, where
    several processes are added up. Without `state`, whoever is on this machine may call, there are no keys, and no
    usage is kept.
    """
    loop = asyncio.get_running_loop()
    upstream = HttpUpstream(local={"demo": DemoUpstream()})
    gateway = Gateway(snapshot, upstream)
    ledger = Ledger()
    parts = Parts(gateway, partial(_counts, gateway, ledger), token=token)
    if state is not None:
        _join(state, gateway, parts, sockets)
    counting = asyncio.create_task(_count(gateway.meter, counted or ledger.enter))
    clients = _clients(gateway, Admin(parts), max_body)
    url = url_of(sockets)
    listeners = [await loop.create_server(clients.connect, sock=sock, backlog=BACKLOG) for sock in sockets]
    probes = Probes(lambda: gateway.snapshot, gateway.attempts)
    probes.start()
    try:
        yield Listening(gateway, clients, url, upstream, parts, ledger)
    finally:
        gateway.draining = True
        await probes.stop()
        accepted = waiting(sockets)
        for listener in listeners:
            listener.close()
        for connection in accepted:
            await loop.connect_accepted_socket(clients.connect, connection)
        await clients.end(DRAIN)
        await upstream.close()
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)


async def _counts(gateway: Gateway, ledger: Ledger) -> tuple[Counts, Status]:
    """What this process has counted, and how reloading goes."""
    ledger.enter(gateway.meter.take())
    return ledger.totals, gateway.status


async def _count(meter: Meter, counted: Callable[[Counts], None]) -> None:
    """Hand on what was counted, every second and at the end."""
    try:
        while True:
            await asyncio.sleep(COUNT_EVERY)
            if counts := meter.take():
                counted(counts)
    finally:
        counted(meter.take())


def _join(state: State, gateway: Gateway, parts: Parts, sockets: Sequence[socket.socket]) -> None:
    """Keys and usage for those who need them."""
    gateway.auth, gateway.books = state.auth(sockets), state.books
    parts.store, parts.keyring, parts.secret = state.store, state.keyring, state.secret
    parts.spool = state.directory.spool


def _clients(gateway: Gateway, admin: Admin, max_body: int) -> Clients:
    def handle(request: Request) -> Coroutine[None, None, Reply]:
        return (admin if serves(request.raw_path) else gateway).handle(request)

    return Clients(handle, max_body=max_body)


async def serve(path: Path, loaded: Loaded, snapshot: Snapshot, *, host: str, port: int) -> None:
    """Serve what the file at `path` says until SIGTERM or SIGINT; a second one does not wait for calls under way.

    It is read again when it changes, and on SIGHUP; `loaded` and `snapshot` are what it says now. Raises `StartError`
    when it may not listen there, or when its database cannot be used.
    """
    stop = told_to_stop()
    state, token, most = state_of(loaded, path.parent, Counters()), new_token(), loaded.config.server.max_body
    async with (
        opened(state, failed=stop.set),
        running(snapshot, host=host, port=port, max_body=most, token=token, state=state) as listening,
    ):
        reloader = Reloader(path, loaded, snapshot, listening, history_of(path, loaded))
        listening.parts.configuration = reloader
        _on_signal(lambda: reloader.trigger("SIGHUP"), *_RELOADING)
        with announced(state.directory, listening.url, token):
            log.info("serving %s, revision %s", listening.url, snapshot.revision)
            async with reloading(reloader):
                await stop.wait()
        _on_signal(listening.clients.hurry, *_ENDING)
        log.info("stopping: new calls are refused, calls under way have %d s to end; again to end at once", DRAIN)
    log.info("stopped")
    if state.failure:
        raise StartError(state.failure)


def state_of(loaded: Loaded, directory: Path, counters: Counters) -> State:
    """The run-time state of this process. Raises `StartError`."""
    try:
        return make_state(loaded, directory, counters)
    except (StoreError, StateError) as error:
        raise StartError(str(error)) from error


def told_to_stop() -> asyncio.Event:
    """An event that comes with SIGTERM or SIGINT."""
    stop = asyncio.Event()
    _on_signal(stop.set, *_ENDING)
    return stop


def _on_signal(act: Callable[[], None], *numbers: int) -> None:
    """What these signals do from now on."""
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, act)


def run(main: Coroutine[object, object, None]) -> None:
    """Run it on the fastest event loop that there is here, as all that its process does."""
    spare_garbage_collector()
    give_back_large_buffers()
    try:
        import uvloop
    except ImportError:  # not made for Windows
        asyncio.run(main)
    else:
        uvloop.run(main)
