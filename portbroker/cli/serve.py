"""`portbroker serve`, and a bare `portbroker`."""

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, place_of
from portbroker.cli.terminal import CommandError, Terminal
from portbroker.logs import log_to_standard_error

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Serve a configuration until told to stop, and what its file becomes.

A save takes effect by itself, SIGHUP reads the file again; a file that is wrong changes nothing. SIGTERM and SIGINT let
the calls under way end first."""
EXAMPLES = """\
  portbroker                             serve ./portbroker.yaml
  portbroker serve gateway.yaml
  portbroker --port 9000                 on another port (PORT=9000 does the same)
  portbroker --workers auto              a process for each core"""


MOST_WORKERS = 256
_CALLS_LOGGED = {"all": logging.DEBUG, "sample": logging.INFO, "failures": logging.WARNING}


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--host", help="the address to listen on (default: server.host of the file)")
    parser.add_argument("--port", type=int, help="the port, 0 for a free one (default: server.port of the file)")
    parser.add_argument("--workers", type=_workers, metavar="N|auto",
                        help="processes that share the port (default: server.workers of the file)")  # fmt: skip
    parser.add_argument("--log", choices=_CALLS_LOGGED, default="sample",
                        help="which calls have a line in the log: those that failed, and of the others all, at most "
                        "100 a second (sample, the default) or none")  # fmt: skip
    parser.add_argument("--log-format", choices=("text", "json"), default="text",
                        help="lines for people (the default), or one JSON object a line with a call's attempts and "
                        "why each ended")  # fmt: skip


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_WORKERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_WORKERS}, or auto")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    path = config_path(args)
    if hasattr(signal, "SIGHUP"):
        # It means "read the file again": whoever sends it too early must not end what is about to read it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loaded, snapshot = compiled(path)
    from portbroker.listening import StartError

    server = loaded.config.server
    host = args.host or server.host
    port = server.port if args.port is None else args.port
    workers = _count(args.workers or server.workers)
    logging.getLogger("portbroker.calls").setLevel(_CALLS_LOGGED[args.log])
    log_to_standard_error(args.log_format, processes=workers > 1, coloured=terminal.shows_colours(sys.stderr))
    _introduce(snapshot)
    try:
        if workers > 1:
            return _supervise(loaded, snapshot, path.parent, host=host, port=port, workers=workers)
        _serve(path, loaded, snapshot, host=host, port=port)
    except StartError as error:
        raise CommandError(str(error)) from error
    return 0


def _count(workers: int | Literal["auto"]) -> int:
    if workers != "auto":
        return workers
    from portbroker.workers import cores

    return cores()


def _serve(path: Path, loaded: "Loaded", snapshot: "Snapshot", *, host: str, port: int) -> None:
    from portbroker.app import run, serve

    run(serve(path, loaded, snapshot, host=host, port=port))


def _supervise(loaded: "Loaded", snapshot: "Snapshot", directory: Path, *, host: str, port: int, workers: int) -> int:
    """Serve with several processes. Everything is imported, compiled and bound before the first is forked."""
    import asyncio
    from functools import partial

    from portbroker.app import state_of
    from portbroker.counters import Counters
    from portbroker.errors import StoreError
    from portbroker.listening import StartError, bind, url_of
    from portbroker.server_file import announced, new_token
    from portbroker.state import check
    from portbroker.workers import Prepare, Supervisor, watch, work

    counters, token = Counters(workers), new_token()
    state = state_of(loaded, directory, counters)
    try:
        asyncio.run(check(state))  # what is wrong with it is told now, and not by each worker
    except StoreError as error:
        raise StartError(f"the database cannot be used: {error}") from error
    sockets = bind(host, port, keys=True)
    supervisor = Supervisor(
        Prepare.of(loaded, 1, directory), sockets, partial(work, counters=counters, token=token), watch,
        count=workers, counters=counters,
    )  # fmt: skip
    with announced(state.directory, url_of(sockets), token):
        return supervisor.run()


def _introduce(snapshot: "Snapshot") -> None:
    """Say who can answer, and why others cannot: a forgotten key must not look like a quiet day."""
    log = logging.getLogger("portbroker")
    for provider in snapshot.providers.values():
        if provider.active:
            log.info("provider %s: %s", provider.name, place_of(provider))
        else:
            log.warning("provider %s is inactive: %s", provider.name, provider.reason)
