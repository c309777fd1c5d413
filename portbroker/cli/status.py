"""`portbroker status`: what the running server serves."""

import argparse
from typing import Any

from portbroker.cli.admin_client import add_server, client
from portbroker.cli.reload import show_failure
from portbroker.cli.terminal import Terminal, aligned
from portbroker.conversation import Json

DESCRIPTION = """\
Say which revision the running server serves, since when and by which workers, whether the file has the same, and how
the last reload went.

Exit status 0: the file is what is served. 1: it is not, or no server answers."""
EXAMPLES = """\
  portbroker status
  portbroker status --json | jq -r .revision
  portbroker status --url https://llm.example.com"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_server(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    told = client(args).ask("GET", "/admin/config")
    if args.json:
        terminal.json(told)
        return _status(told)
    for line in aligned(_rows(told, terminal), ""):
        terminal.say(line)
    last = told["last_reload"]
    if last and not last["succeeded"]:
        terminal.note("")
        show_failure(last["problems"], terminal)
    return _status(told)


def _status(told: Json) -> int:
    return int(not told["in_sync"] or bool(told["last_reload"] and not told["last_reload"]["succeeded"]))


def _rows(told: Json, terminal: Terminal) -> list[tuple[str, str]]:
    return [
        ("file", told["file"]),
        ("served", f"revision {told['revision']} since {_when(told['loaded_at'])}"),
        ("the file has", _of_file(told, terminal)),
        *_of_guard(told, terminal),
        *_of_reload(told["last_reload"], terminal),
        *(("worker", _of_worker(worker, told, terminal)) for worker in told["workers"]),
    ]


def _of_file(told: Json, terminal: Terminal) -> str:
    if told["in_sync"]:
        return terminal.paint("the same", "green")
    revision = told["file_revision"]
    return terminal.paint(
        f"revision {revision}, which is not served" if revision else "nothing that can be read", "red"
    )


def _of_guard(told: Json, terminal: Terminal) -> list[tuple[str, str]]:
    rows = []
    if until := told["guarded_until"]:
        rows.append(("on trial", terminal.paint(f"until {_when(until)}", "yellow")))
    if returned := told["returned"]:
        rows.append(("returned from", terminal.paint(f"revision {returned['revision']}: {returned['why']}", "red")))
    return rows


def _of_reload(last: Any, terminal: Terminal) -> list[tuple[str, str]]:
    if not last:
        return []
    how = terminal.paint("went well", "green") if last["succeeded"] else terminal.paint("failed", "red")
    rows = [("last reload", f"{how} at {_when(last['at'])} ({last['cause']})")]
    if last["restart"]:
        rows.append(("restart for", terminal.paint(", ".join(last["restart"]), "yellow")))
    return rows


def _of_worker(worker: Json, told: Json, terminal: Terminal) -> str:
    revision = worker["revision"] or "none yet"
    shown = revision if revision == told["revision"] else terminal.paint(revision, "yellow")
    return f"{worker['process']}  revision {shown}  since {_when(worker['started_at'])}"


def _when(at: str) -> str:
    """A moment by the clock of this machine."""
    from datetime import datetime

    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
