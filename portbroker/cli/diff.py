"""`portbroker diff`: what one configuration changes for callers, compared with another."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from portbroker.cli.loading import compiled
from portbroker.cli.terminal import CommandError, Terminal

if TYPE_CHECKING:
    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Say what changes for callers when B is served instead of A: models, routes, providers, translation.

Exit status 0: nothing does. 1: what is listed does. 2: one of the files cannot be served."""
EXAMPLES = """\
  portbroker diff portbroker.yaml new.yaml
  git show HEAD:portbroker.yaml > before.yaml && portbroker diff before.yaml portbroker.yaml
  portbroker diff a.yaml b.yaml --json | jq -r '.changes[].text'"""

_MARKS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="the configuration that is served")
    parser.add_argument("b", metavar="B", help="the one that would be")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.diff import differences

    before, after = _snapshot(args.a, terminal), _snapshot(args.b, terminal)
    if before is None or after is None:
        return 2
    changes = differences(before, after)
    if args.json:
        terminal.json({
            "same": not changes,
            "revisions": [before.revision, after.revision],
            "changes": [{"kind": change.kind, "text": change.text} for change in changes],
        })  # fmt: skip
        return int(bool(changes))
    for change in changes:
        mark, colour = _MARKS[change.kind]
        terminal.say(f"{terminal.paint(mark, colour)} {change.text}")
    if not changes:
        terminal.note("nothing changes for callers")
    return int(bool(changes))


def _snapshot(name: str, terminal: Terminal) -> "Snapshot | None":
    """What a file means; None when it cannot be served, which is told."""
    from portbroker.cli.problems import show_problems
    from portbroker.errors import ConfigError

    path = Path(name)
    if not path.exists():
        raise CommandError(f"{path}: no such file", status=2)
    try:
        return compiled(path)[1]
    except ConfigError as error:
        show_problems(error.problems, terminal)
        return None
