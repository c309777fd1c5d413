"""`portbroker history`: the last good revisions of a file."""

import argparse
import datetime
from typing import TYPE_CHECKING

from portbroker.cli.revisions import add_config, entry_of, file_of, history_of
from portbroker.cli.terminal import Terminal, aligned

if TYPE_CHECKING:
    from pathlib import Path

    from portbroker.history import Entry

DESCRIPTION = """\
List what was served of a file: its revisions, the last one first, since when, what set each off, and what it changed
for callers. With REVISION, print its text.

They are kept in the state directory, 50 at most; secrets are in there as they stand in the file."""
EXAMPLES = """\
  portbroker history
  portbroker history 3f9a1c2b7d4e > before.yaml
  portbroker history --json | jq -r '.[0].revision'"""

_WIDTH = 100


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", metavar="REVISION", nargs="?", help="print the text of this one")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_config(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    file = file_of(args)
    if args.revision:
        return _print(entry_of(args.revision, file), terminal)
    entries = history_of(file).entries()
    now = revision_now(file)
    if args.json:
        terminal.json([
            {"revision": e.revision, "at": _moment(e).isoformat(), "cause": e.cause, "changes": e.changes,
             "files": files_of(e), "in_the_file": e.revision == now} for e in entries
        ])  # fmt: skip
        return 0
    if not entries:
        terminal.note(f"nothing of {file} was served yet, or its state directory is another")
    for line in aligned([_row(entry, now) for entry in entries], ""):
        terminal.say(line)
    return 0


def revision_now(file: "Path") -> str:
    """The revision that the file has now; "" when it cannot be served."""
    from portbroker.config.load import load
    from portbroker.errors import ConfigError

    try:
        return load(file).revision
    except ConfigError:
        return ""


def files_of(entry: "Entry") -> list[str]:
    """The included files of an entry."""
    from portbroker.config.environment import NAMES

    return [name for name in entry.parts if not name.endswith(NAMES)]


def when(entry: "Entry") -> str:
    """Since when it was served, by the clock of this machine."""
    return _moment(entry).strftime("%Y-%m-%d %H:%M:%S")


def _moment(entry: "Entry") -> datetime.datetime:
    return datetime.datetime.fromtimestamp(entry.at).astimezone()


def _row(entry: "Entry", now: str) -> tuple[str, ...]:
    changes = "; ".join(entry.changes)
    shown = changes if len(changes) <= _WIDTH else changes[: _WIDTH - 1] + "…"
    return ("*" if entry.revision == now else " ", entry.revision, when(entry), entry.cause, shown)


def _print(entry: "Entry", terminal: Terminal) -> int:
    names = files_of(entry)
    if names:
        terminal.note(f"it includes {len(names)} files, each below a line with its name")
    terminal.say(entry.text.decode().removesuffix("\n"))
    for name in names:
        terminal.say(f"# ---- {name}")
        terminal.say(entry.parts[name].decode().removesuffix("\n"))
    return 0
