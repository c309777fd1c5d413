"""`portbroker connect`: a client's own settings, pointed at the gateway and back.

The one rule: what is written is shown as a difference, and no secret is in what is shown.
"""

import argparse
import re
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Final

from portbroker.cli.place import add_url, compiled_or_none, file_of, place_of
from portbroker.cli.terminal import CommandError, Terminal, environment
from portbroker.connect.clients import CLIENTS, NO_KEY, Client, Gateway, Machine, variables

if TYPE_CHECKING:
    from portbroker.connect.connecting import Plan

_NAMES: Final = ", ".join(CLIENTS)
DESCRIPTION = f"""\
Point a client at the gateway: {_NAMES}.

Its own settings get the few values that it needs, in place; all else in the file stays as it is,
and --undo puts back what was there. Where the gateway asks for an API key, one is made.
`env` prints the variables that the SDKs read, for a shell."""
EXAMPLES = """\
  portbroker connect claude
  portbroker connect codex --model gpt-5-mini
  portbroker connect opencode --print        show what would be written
  portbroker connect claude --undo           put it back
  eval "$(portbroker connect env)"           for programs made with the SDKs"""

_NAMED = r"""((?:key|token|secret|password|authorization)["']?\s*[:=]\s*["']?)([^"'\s,]+)"""
_SECRET = re.compile(rf"{_NAMED}|()((?:pb|sk)-[\w-]{{6,}})", re.IGNORECASE)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", choices=(*CLIENTS, "env"), metavar="CLIENT", help=f"{_NAMES} or env")
    add_url(parser)
    parser.add_argument("--model", metavar="NAME", help="the model to begin with (default: the first that is served)")
    parser.add_argument("--key", help="the API key to use (default: made, where the gateway asks for one)")
    parser.add_argument(
        "--print", action="store_true", dest="show", help="show what would be written, and write nothing"
    )
    parser.add_argument("--undo", action="store_true", help="put back what was there")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.connect.files import SettingsError

    variables_ = environment()
    machine = Machine(Path(variables_.get("HOME") or Path.home()), variables_)
    try:
        if args.client == "env":
            _print_variables(args, terminal, machine)
        elif args.undo:
            _undo(CLIENTS[args.client], args, terminal, machine)
        else:
            _connect(CLIENTS[args.client], args, terminal, machine)
    except SettingsError as error:
        raise CommandError(str(error), error.hint) from error
    return 0


def _connect(client: Client, args: argparse.Namespace, terminal: Terminal, machine: Machine) -> None:
    from portbroker.connect.connecting import connect, connecting

    gateway = gateway_for(client.name, args, terminal, machine, names=client.names)
    done = connecting(client, gateway, machine)
    _show(done.plans, terminal)
    if args.show:
        return
    connect(client, done, machine)
    if all(plan.then == plan.now for plan in done.plans):
        terminal.note(f"{client.title} is connected to {gateway.url} already")
    else:
        terminal.note(f"{client.title} now asks {gateway.url}: {client.next}; `portbroker connect {client.name} --undo`"
                      " puts it back")  # fmt: skip


def _undo(client: Client, args: argparse.Namespace, terminal: Terminal, machine: Machine) -> None:
    from portbroker.connect.connecting import disconnect, disconnecting

    plans = disconnecting(client, machine)
    if not plans:
        raise CommandError(f"{client.title} was not connected by this command", "there is nothing to put back")
    _show(plans, terminal)
    for plan in plans:
        for name in plan.left:
            terminal.note(f"{plan.file}: {name} was changed since, and stays")
    if args.show:
        return
    from portbroker.cli.client_key import delete_key

    disconnect(client, plans, machine)
    terminal.note(f"{client.title} is as it was before")
    if not delete_key(client.name, place_of(args), machine):
        terminal.note("its API key is still good: `portbroker keys` deletes it where it was made")


def gateway_for(name: str, args: argparse.Namespace, terminal: Terminal, machine: Machine, *, names: bool) -> Gateway:
    """What a client is pointed at. Raises `CommandError` when it needs the name of a model and nobody knows one."""
    from portbroker.cli.client_key import key_for
    from portbroker.connect.asking import Unreachable, ask, listed

    place = place_of(args)
    key = args.key or ""
    try:
        said = ask(place.url, "/v1/models", key=key or NO_KEY)
        if said.status == 401 and not args.key:
            key = NO_KEY + "-key-to-be-made" if args.show else key_for(name, place, machine)
            said = ask(place.url, "/v1/models", key=key)
        if said.status in (401, 403) and not args.show:
            raise CommandError(f"{place.url} does not take this key: {said.message}")
        models = listed(said) or _models_of_file(args)
    except Unreachable as error:
        terminal.note(f"{place.url} ({place.told_by}) does not answer yet: {error}")
        models = _models_of_file(args)
    if args.model:
        models = (args.model, *(model for model in models if model != args.model))
    if names and not models:
        raise CommandError(f"{place.url} lists no models to choose from", "name one: --model NAME")
    return Gateway(place.url, models if names or args.model else (), key)


def _models_of_file(args: argparse.Namespace) -> tuple[str, ...]:
    file = None if args.url else file_of(args)
    snapshot = compiled_or_none(file)[1] if file else None
    return tuple(model.id for model in snapshot.listed) if snapshot else ()


def _show(plans: "tuple[Plan, ...]", terminal: Terminal) -> None:
    """The differences, in colour."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for plan in plans:
        for line in _difference(plan):
            colour = colours.get(line[:1])
            terminal.say(terminal.paint(line, colour) if colour else line)


def _difference(plan: "Plan") -> list[str]:
    now, then = (masked(text or "").splitlines() for text in (plan.now, plan.then))
    files = ("/dev/null" if plan.now is None else str(plan.file), "/dev/null" if plan.then is None else str(plan.file))
    lines = list(unified_diff(now, then, *files, n=2, lineterm=""))
    if not lines and plan.now != plan.then:
        return [f"--- {plan.file}", f"+++ {plan.file}", "@@ only what is not shown here differs @@"]
    return lines


def masked(text: str) -> str:
    """A text without the keys in it, but for the one that opens nothing."""
    return _SECRET.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    name, value = found[1] or "", found[2] or found[4]
    return found[0] if value == NO_KEY else f"{name}{value[:3]}…"


def _print_variables(args: argparse.Namespace, terminal: Terminal, machine: Machine) -> None:
    from shlex import quote

    if args.undo:
        terminal.say(f"unset {' '.join(variables(Gateway('')))}")
        return
    gateway = gateway_for("env", args, terminal, machine, names=False)
    for name, value in variables(gateway).items():
        terminal.say(f"export {name}={quote(value)}")
