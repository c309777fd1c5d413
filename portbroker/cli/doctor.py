"""`portbroker doctor`: where the way from a client to a provider breaks, and how to mend it."""

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from portbroker.cli.place import add_url, file_of, place_of
from portbroker.cli.terminal import Terminal, environment

if TYPE_CHECKING:
    from portbroker.doctor.findings import Finding
    from portbroker.snapshot import Snapshot

DESCRIPTION = """\
Walk the way of a call and say where it breaks: the file, the gateway, each provider (its name, the
connection, TLS, its key, its models), and the settings of the clients on this machine.

Nothing is changed and nothing is paid for: of a provider, only its list of models is asked for.
Exit status 0: nothing is broken. 1: something is, and each finding says what to do."""
EXAMPLES = """\
  portbroker doctor
  portbroker doctor --no-providers           ask nobody outside
  portbroker doctor --json | jq '.findings[] | select(.state == "bad")'"""

_SIGNS: Final = {
    "good": ("good", "green"),
    "bad": ("bad", "red"),
    "doubtful": ("look", "yellow"),
    "unknown": ("?", "dim"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    add_url(parser)
    parser.add_argument("--no-providers", action="store_true", help="leave the providers alone")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS",
                        help="for each question to a provider (default: 10)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the findings for a machine")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.connect.clients import Machine
    from portbroker.doctor import clients, file, gateway

    variables = environment()
    machine = Machine(Path(variables.get("HOME") or Path.home()), variables)
    findings, snapshot = file.look(file_of(args))
    url = place_of(args).url
    findings += gateway.look(url, snapshot.revision if snapshot and not args.url else None)
    if snapshot and not args.no_providers:
        findings += _providers(snapshot, args.timeout)
    findings += clients.look(url, machine, None if args.url else snapshot)
    broken = any(finding.state == "bad" for finding in findings)
    if args.json:
        terminal.json({"ok": not broken, "url": url, "findings": [finding.plain() for finding in findings]})
    else:
        _print(findings, terminal)
    return 1 if broken else 0


def _providers(snapshot: "Snapshot", timeout: float) -> "list[Finding]":
    from portbroker.doctor import providers

    return asyncio.run(providers.look(snapshot, named(snapshot), timeout))


def named(snapshot: "Snapshot") -> Mapping[str, Sequence[str]]:
    """By provider, the models that the file asks it for, as far as their names are written out."""
    models: dict[str, dict[str, None]] = {
        provider.name: dict.fromkeys(model for model in (*provider.tiers.values(), *provider.models) if _whole(model))
        for provider in snapshot.providers.values()
    }
    for rule in snapshot.models.rules:
        for target in rule.targets:
            if target.provider in models and _whole(target.model.text):
                models[target.provider][target.model.text] = None
    return {name: tuple(each) for name, each in models.items()}


def _whole(name: str) -> bool:
    """Whether a name is one, and no pattern or template."""
    return not set(name) & set("*?[{")


def _print(findings: "Iterable[Finding]", terminal: Terminal) -> None:
    counts = dict.fromkeys(_SIGNS, 0)
    for about, group in groupby(findings, key=lambda finding: finding.about):
        terminal.say(terminal.paint(about, "bold"))
        for finding in group:
            counts[finding.state] += 1
            sign, colour = _SIGNS[finding.state]
            terminal.say(f"  {terminal.paint(sign.ljust(4), colour)}  {finding.what}")
            if finding.hint:
                terminal.say(f"        {terminal.paint(finding.hint, 'cyan')}")
    broken = counts["bad"]
    terminal.say()
    terminal.say(
        f"{broken} broken" if broken else "nothing is broken" + (", but look above" if counts["doubtful"] else "")
    )
