"""`portbroker serve`, and a bare `portbroker`."""

import argparse

from portbroker.cli.files import add_file, config_path
from portbroker.cli.terminal import Terminal

DESCRIPTION = """\
Serve a configuration until told to stop.

SIGTERM and SIGINT let the calls under way end first."""
EXAMPLES = """\
  portbroker                             serve ./portbroker.yaml
  portbroker serve gateway.yaml
  PORT=9000 portbroker                   on another port"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--host", help="the address to listen on (default: server.host of the file)")
    parser.add_argument("--port", type=int, help="the port, 0 for a free one (default: server.port of the file)")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    path = config_path(args)
    from portbroker.app import serve

    return serve(path, host=args.host, port=args.port)
