"""`portbroker diff`: what one configuration changes for callers, compared with another."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from portbroker.cli.revisions import add_config, file_of, history_of, loaded_by_name, loaded_entry
from portbroker.cli.terminal import CommandError, Terminal

if TYPE_CHECKING:
    from portbroker.diff import Change
    from portbroker.errors import Problem
    from portbroker.history import Entry
    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Say what changes for callers when B is served instead of A: models, routes, providers, translation. Both are files, or
revisions of the history.

Exit status 0: nothing does. 1: what is listed does. 2: one of the files cannot be served."""
EXAMPLES = """\
  portbroker diff portbroker.yaml new.yaml
  portbroker diff                        the last revision that was served, and the file
  portbroker diff 3f9a1c2b 77aa01d3      two revisions of `portbroker history`
  git show HEAD:portbroker.yaml > before.yaml && portbroker diff before.yaml portbroker.yaml
  portbroker diff a.yaml b.yaml --json | jq -r '.changes[].text'
  portbroker diff a.yaml b.yaml --format markdown    for the comment on a pull request"""

MARK: Final = "<!-- portbroker diff -->"
"""The first line of a comment: by it, the next run finds and replaces its own."""
_MARKS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", nargs="?",
                        help="a file or a revision (default: the last revision that was served)")  # fmt: skip
    parser.add_argument("b", metavar="B", nargs="?", help="another one, to be served instead (default: the file)")
    add_config(parser)
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text",
                        help="how to print the outcome; markdown is for the comment on a pull request")  # fmt: skip
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.diff import differences
    from portbroker.errors import ConfigError

    try:
        before, after = _both(args)
    except ConfigError as error:
        _refuse(error.problems, terminal, args.format)
        return 2
    changes = differences(before, after)
    _SHOWN[args.format](changes, (before.revision, after.revision), terminal)
    return int(bool(changes))


def _both(args: argparse.Namespace) -> "tuple[Snapshot, Snapshot]":
    """What is compared with what. Raises `ConfigError` when one of them cannot be served."""
    from portbroker.compile import compile_snapshot

    file = file_of(args)
    before = loaded_by_name(args.a, file) if args.a else loaded_entry(_last(file), file)
    after = loaded_by_name(args.b or str(file), file)
    return compile_snapshot(before), compile_snapshot(after)


def _last(file: Path) -> "Entry":
    for entry in history_of(file).entries():
        return entry
    raise CommandError(f"nothing of {file} was served yet", "name two files: `portbroker diff A B`", status=2)


def _refuse(problems: "Sequence[Problem]", terminal: Terminal, form: str) -> None:
    if form == "markdown":
        from portbroker.cli.annotations import markdown_list

        for line in (MARK, "### This configuration cannot be served", "", *markdown_list(problems)):
            terminal.say(line)
    elif form == "json":
        terminal.json({"problems": [problem.plain() for problem in problems]})
    else:
        from portbroker.cli.problems import show_problems

        show_problems(problems, terminal)


def say_changes(changes: "Sequence[Change]", terminal: Terminal) -> None:
    """A line for each."""
    for change in changes:
        mark, colour = _MARKS[change.kind]
        terminal.say(f"{terminal.paint(mark, colour)} {change.text}")
    if not changes:
        terminal.note("nothing changes for callers")


def _as_text(changes: "Sequence[Change]", _: tuple[str, str], terminal: Terminal) -> None:
    say_changes(changes, terminal)


def _as_json(changes: "Sequence[Change]", revisions: tuple[str, str], terminal: Terminal) -> None:
    told = [{"kind": change.kind, "text": change.text} for change in changes]
    terminal.json({"same": not changes, "revisions": revisions, "changes": told})


def _as_markdown(changes: "Sequence[Change]", revisions: tuple[str, str], terminal: Terminal) -> None:
    from portbroker.cli.annotations import markdown

    lines = [f"- **{change.kind}** {markdown(change.text)}" for change in changes]
    for line in (MARK, "### What changes for callers", "", *(lines or ["Nothing."]), "",
                 f"Revision `{revisions[0]}` → `{revisions[1]}`"):  # fmt: skip
        terminal.say(line)


_SHOWN: "Final[dict[str, Callable[[Sequence[Change], tuple[str, str], Terminal], None]]]" = {
    "text": _as_text,
    "json": _as_json,
    "markdown": _as_markdown,
}
