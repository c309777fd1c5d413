"""`portbroker serve`, and a bare `portbroker`."""

import argparse
import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, place_of
from portbroker.cli.terminal import CommandError, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Serve a configuration until told to stop.

SIGTERM and SIGINT let the calls under way end first."""
EXAMPLES = """\
  portbroker                             serve ./portbroker.yaml
  portbroker serve gateway.yaml
  portbroker --port 9000                 on another port (PORT=9000 does the same)"""


_CALLS_LOGGED = {"all": logging.DEBUG, "sample": logging.INFO, "failures": logging.WARNING}


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--host", help="the address to listen on (default: server.host of the file)")
    parser.add_argument("--port", type=int, help="the port, 0 for a free one (default: server.port of the file)")
    parser.add_argument("--log", choices=_CALLS_LOGGED, default="sample",
                        help="which calls have a line in the log: those that failed, and of the others all, at most "
                        "100 a second (sample, the default) or none")  # fmt: skip


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    loaded, snapshot = compiled(config_path(args))
    from portbroker.app import StartError, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr)
    logging.getLogger("portbroker.calls").setLevel(_CALLS_LOGGED[args.log])
    _introduce(snapshot)
    server = loaded.config.server
    host = args.host or server.host
    port = server.port if args.port is None else args.port
    try:
        _runner()(serve(snapshot, host=host, port=port, max_body=server.max_body))
    except StartError as error:
        raise CommandError(str(error)) from error
    return 0


def _introduce(snapshot: "Snapshot") -> None:
    """Say who can answer, and why others cannot: a forgotten key must not look like a quiet day."""
    log = logging.getLogger("portbroker")
    for provider in snapshot.providers.values():
        if provider.active:
            log.info("provider %s: %s", provider.name, place_of(provider))
        else:
            log.warning("provider %s is inactive: %s", provider.name, provider.reason)


def _runner() -> "Callable[[Coroutine[object, object, None]], None]":
    """The fastest event loop that there is here."""
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return asyncio.run
    return uvloop.run
