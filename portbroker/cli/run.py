"""`portbroker run`: a program that asks the gateway, for as long as it runs.

The one rule: to its caller this command is that program: the same terminal, signals and exit status.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.cli.connect import gateway_for
from portbroker.cli.place import add_url, place_of
from portbroker.cli.terminal import CommandError, Terminal, environment
from portbroker.connect.clients import CLIENTS, Machine

if TYPE_CHECKING:
    from portbroker.connect.launching import Launch

DESCRIPTION = """\
Start a program that asks the gateway: its environment says so, and no file is changed.

Claude Code, Codex, OpenCode, Qwen Code and Aider get what each of them needs; any other program
gets the variables that the SDKs read. Signals reach the program, and its exit status is that of
this command. With --serve a gateway is started for it, and ends with it, where none is running."""
EXAMPLES = """\
  portbroker run -- claude
  portbroker run --serve -- claude -p 'What is this repository about?'
  portbroker run --model gpt-5-mini -- codex exec 'Fix the tests'
  portbroker run -- python my_agent.py"""

_FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_OF_THE_TERMINAL = ("SIGINT", "SIGQUIT")


def configure(parser: argparse.ArgumentParser) -> None:
    add_url(parser)
    parser.add_argument("--model", metavar="NAME", help="the model to begin with (default: the first that is served)")
    parser.add_argument("--key", help="the API key to use (default: made, where the gateway asks for one)")
    parser.add_argument("--serve", action="store_true", help="serve for as long as the program runs, if nobody does")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to start")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.connect.asking import Unreachable, ask
    from portbroker.connect.files import SettingsError

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise CommandError("there is nothing to start", "portbroker run -- claude", status=2)
    if shutil.which(command[0]) is None:
        raise CommandError(f"{command[0]}: no such program", status=127)
    place = place_of(args)
    try:
        ask(place.url, "/health")
    except Unreachable as error:
        if not args.serve:
            hint = "start it with `portbroker`, or let this command do so: `portbroker run --serve -- ...`"
            raise CommandError(f"nothing answers at {place.url}: {error}", hint) from error
        return _serving(args, command, terminal)
    try:
        launch = _launch(args, command, terminal)
    except SettingsError as error:
        raise CommandError(str(error), error.hint) from error
    sys.stdout.flush()
    os.execvpe(launch.command[0], [*launch.command], launch.within(environment()))


def _launch(args: argparse.Namespace, command: list[str], terminal: Terminal) -> "Launch":
    from portbroker.connect.launching import launch, program

    variables = environment()
    machine = Machine(Path(variables.get("HOME") or Path.home()), variables)
    args.show = False
    client = CLIENTS.get(program(command))
    gateway = gateway_for(program(command), args, terminal, machine, names=bool(client and client.names))
    return launch(command, gateway, machine)


def _serving(args: argparse.Namespace, command: list[str], terminal: Terminal) -> int:
    """The program's exit status; a gateway runs as long as it does."""
    from portbroker.cli.serving import served
    from portbroker.connect.files import SettingsError

    with served(args.config) as url:
        terminal.note(f"serving {url} until {command[0]} ends")
        args.url = url
        try:
            launch = _launch(args, command, terminal)
        except SettingsError as error:
            raise CommandError(str(error), error.hint) from error
        return _waited(launch)


def _waited(launch: "Launch") -> int:
    """The exit status of a program that gets the signals which we get."""
    process = subprocess.Popen([*launch.command], env=launch.within(environment()))
    at_terminal = sys.stdin.isatty()
    for name in (*_FORWARDED, *_OF_THE_TERMINAL):
        if number := getattr(signal, name, None):
            # The terminal sends its own to both of us.
            quiet = name in _OF_THE_TERMINAL and at_terminal
            signal.signal(number, (lambda *_: None) if quiet else lambda number, _: process.send_signal(number))
    status = process.wait()
    return status if status >= 0 else 128 - status
