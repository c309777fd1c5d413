"""`portbroker reload`: the running server reads its file again."""

import argparse
import os
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from portbroker.cli.admin_client import Refused, add_server, client, file_of, running_server
from portbroker.cli.terminal import CommandError, Terminal

DESCRIPTION = """\
Have the running server read its file again, which it does by itself when the file is saved. With --wait, say what came
of it, once every worker serves it; with --dry-run, what would come of it.

Exit status 0: the file is served, or the server was told. 1: it cannot be served, and every problem is listed."""
EXAMPLES = """\
  portbroker reload --wait
  portbroker reload --dry-run            may this file be served by that server, with its secrets?
  portbroker reload --wait --json | jq .changes"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="until it is served, or known not to be")
    parser.add_argument("--dry-run", action="store_true", help="serve nothing, say what would be")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_server(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    if not (args.wait or args.dry_run):
        return _tell(args, terminal)
    try:
        told = client(args).ask("POST", "/admin/config/reload" + ("?dry_run=1" if args.dry_run else ""))
    except Refused as refused:
        if (problems := refused.error.get("problems")) is None:
            raise
        if args.json:
            terminal.json({"succeeded": False, "problems": problems})
        else:
            show_failure(problems, terminal)
        return 1
    if args.json:
        terminal.json(told)
    else:
        _show(told, terminal, dry=args.dry_run)
    return 0


def _tell(args: argparse.Namespace, terminal: Terminal) -> int:
    """Send SIGHUP to the server of this machine."""
    if args.url or not hasattr(signal, "SIGHUP"):
        raise CommandError("only a server of this machine can be told without waiting", "add --wait", status=2)
    server = running_server(file_of(args))
    if server is None:
        raise CommandError(f"no server of {file_of(args)} is running", "start it with `portbroker`")
    os.kill(server.pid, signal.SIGHUP)
    terminal.note(
        f"told the server (process {server.pid}) to read its file again; `portbroker status` says what came of it"
    )
    return 0


def _show(told: Mapping[str, Any], terminal: Terminal, *, dry: bool) -> None:
    if dry:
        head = f"{terminal.paint('good', 'green')}  revision {told['revision']} can be served"
    elif told["served"]:
        head = f"{terminal.paint('served', 'green')}  revision {told['revision']}"
    else:
        head = f"{terminal.paint('served', 'green')}  revision {told['revision']}, already"
    terminal.say(head)
    for change in told["changes"]:
        terminal.say(f"  {change}")
    if told["restart"]:
        terminal.note(f"served only after a restart: {', '.join(told['restart'])}")


def show_failure(problems: Iterable[Mapping[str, Any]], terminal: Terminal) -> None:
    """The problems that a server has found, with their lines as far as its files are here."""
    from portbroker.cli.problems import show_problems
    from portbroker.errors import Problem

    show_problems([Problem(**problem) for problem in problems], terminal)
