"""The commands. Each is a module with `configure` and `run`, imported only when it is asked for.

The one rule: results go to standard output, everything else to standard error, and a traceback to nobody.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from portbroker.cli.terminal import CommandError, Terminal, debugging
from portbroker.errors import ConfigError

COMMANDS: Final = {
    "serve": "serve the file (what a bare `portbroker` does)",
    "init": "write a first portbroker.yaml",
    "check": "tell whether a file can be served, and what it means",
    "test": "run the tests of a file, or a file of translation cases",
    "diff": "say what another file changes for callers",
    "status": "say what the running server serves",
    "reload": "have the running server read its file again",
    "history": "list the last revisions that were served",
    "rollback": "make the file what it was",
    "explain": "say where a model's calls go, and why",
    "translate": "show the exact body that a provider would get",
    "show": "print the field map in force for a provider",
    "connect": "point a client at the gateway: claude, codex, opencode, ...",
    "doctor": "say where the way from a client to a provider breaks",
    "run": "start a program that asks the gateway",
    "mock": "serve a provider that fails as it is told, to rehearse an outage",
    "keys": "make, list, rotate and revoke API keys",
    "usage": "sum up what was used and what it cost",
    "login": "sign in to a server elsewhere",
    "schema": "print the JSON Schema of the file",
}
_FILES = (".yaml", ".yml")

_EPILOG = """\
A file is found in this order: FILE, --config FILE, $PORTBROKER_CONFIG, ./portbroker.yaml.

examples:
  portbroker                            serve ./portbroker.yaml
  portbroker check --format github      annotate a pull request
  portbroker explain --model claude-sonnet-5
  portbroker COMMAND --help             more on a command
"""


class Command(Protocol):
    """What the module of a command offers."""

    DESCRIPTION: str
    EXAMPLES: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace, terminal: Terminal) -> int:
        """The exit status: 0 for yes, 1 for no. Usage errors are argparse's, and 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of one command line."""
    terminal = Terminal()
    try:
        name, rest = _chosen(list(sys.argv[1:] if argv is None else argv))
        command = cast(Command, import_module(f"portbroker.cli.{name}"))
        status = command.run(_parser(name, command).parse_args(rest), terminal)
        sys.stdout.flush()  # now: at exit, a reader that has had enough would be a failure
    except CommandError as error:
        terminal.error(str(error), error.hint)
        return error.status
    except ConfigError as error:
        from portbroker.cli.problems import show_problems

        show_problems(error.problems, terminal)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        terminal.abandon()  # the reader had enough: `portbroker schema | head`
        return 0
    except Exception as error:  # the outermost handler: a person at a terminal gets a line, not a traceback
        if debugging():
            raise
        terminal.error(f"{type(error).__name__}: {error}", "set PORTBROKER_DEBUG=1 to see where it happened")
        return 1
    else:
        return status


def _chosen(argv: list[str]) -> tuple[str, list[str]]:
    """The command and its own arguments; prints help and the version, which belong to none."""
    first = argv[0] if argv else ""
    if first in COMMANDS:
        return first, argv[1:]
    if first in ("-h", "--help", "help", "-V", "--version"):
        _general_parser().parse_args(["--version" if first in ("-V", "--version") else "--help"])
    if first and not first.startswith("-") and not first.endswith(_FILES):
        _unknown(first)
    return "serve", argv


def _unknown(word: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean `portbroker {near[0]}`?" if near else f"the commands are {', '.join(COMMANDS)}"
    raise CommandError(f"there is no command `{word}`", hint, status=2)


def _general_parser() -> argparse.ArgumentParser:
    from importlib.metadata import version

    listing = "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="portbroker",
        usage="portbroker [COMMAND] [FILE] [options]",
        description=f"An LLM gateway whose whole behaviour is one validated YAML file.\n\ncommands:\n{listing}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"portbroker {version('portbroker')}")
    return parser


def _parser(name: str, command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"portbroker {name}",
        description=command.DESCRIPTION,
        epilog=f"examples:\n{command.EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    return parser
