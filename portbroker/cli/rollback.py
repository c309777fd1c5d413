"""`portbroker rollback`: the file becomes what it was."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.cli.revisions import add_config, entry_of, file_of, history_of, loaded_entry
from portbroker.cli.terminal import CommandError, Terminal

if TYPE_CHECKING:
    from portbroker.history import Entry, History
    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Write a revision back to the file, and to those that it includes: the last one that was served and is another than what
the file says now, or REVISION. What is replaced is kept, and a running server serves what is written like any save.

Exit status 0: it is written. 1: it cannot be served today, or not be written. 2: there is no such revision."""
EXAMPLES = """\
  portbroker rollback                    to the last one
  portbroker rollback 3f9a1c2b7d4e       `portbroker history` lists them
  portbroker rollback --dry-run          only say what it would change for callers"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", metavar="REVISION", nargs="?", help="which one (default: the last other one)")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    add_config(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.compile import compile_snapshot

    file = file_of(args)
    history = history_of(file)
    entry = entry_of(args.revision, file) if args.revision else _last_other(history, file)
    after = compile_snapshot(loaded_entry(entry, file))
    _tell(file, after, terminal)
    if args.dry_run:
        terminal.note(f"nothing was written; {file} would be revision {entry.revision}")
        return 0
    _write(entry, file, history, terminal)
    return 0


def _last_other(history: "History", file: Path) -> "Entry":
    from portbroker.cli.history import revision_now

    now = revision_now(file)
    for entry in history.entries():
        if entry.revision != now:
            return entry
    raise CommandError(f"the history of {file} has no other revision", "there is nothing to go back to", status=2)


def _tell(file: Path, after: "Snapshot", terminal: Terminal) -> None:
    """Say what changes for callers, if what the file says now can be compared."""
    from portbroker.cli.diff import say_changes
    from portbroker.cli.loading import compiled
    from portbroker.diff import differences
    from portbroker.errors import ConfigError

    try:
        before = compiled(file)[1]
    except ConfigError:
        terminal.note(f"{file} cannot be served as it is now")
    else:
        say_changes(differences(before, after), terminal)


def _write(entry: "Entry", file: Path, history: "History", terminal: Terminal) -> None:
    from portbroker.cli.history import when
    from portbroker.restoring import restore

    try:
        kept = restore(entry, file, history)
    except OSError as error:
        raise CommandError(f"{error.filename or file} cannot be written: {error.strerror}",
                           "where the file belongs to Git or to a ConfigMap, go back there") from error  # fmt: skip
    if kept is None:
        terminal.note(f"{file} is revision {entry.revision} already")
        return
    terminal.say(f"{terminal.paint('back', 'green')}  {file}  revision {entry.revision}, served since {when(entry)}")
    terminal.note(f"what was replaced is in {kept}")
