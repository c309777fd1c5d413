"""`portbroker check`: everything that serving a file needs, without serving it."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, place_of, proxy_before
from portbroker.cli.problems import show_problems
from portbroker.cli.terminal import Terminal, aligned
from portbroker.conversation import Json
from portbroker.errors import ConfigError, Problem

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.resolution import ModelRule
    from portbroker.snapshot import Provider, Snapshot

DESCRIPTION = """\
Do all that a reload does with a file, but serve it: read, render, validate, compile.

Exit status 0: it can be served. 1: it cannot, and every problem is listed with its place. A warning is said of what can
be served and is hardly meant so; with --strict, the status is 1 for it too."""
EXAMPLES = """\
  portbroker check
  portbroker check gateway.yaml --format github     annotations on a pull request
  portbroker check --format sarif > found.sarif      for code scanning
  portbroker check --format json | jq .providers"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--format", choices=("text", "json", "github", "sarif"), default="text",
                        help="how to print the outcome")  # fmt: skip
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for a warning, too")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    path = config_path(args)
    try:
        loaded, snapshot = compiled(path, thorough=True)
    except ConfigError as error:
        if args.format == "text":
            raise
        _print_findings([("error", problem) for problem in error.problems], terminal, args.format)
        return 1
    from portbroker.lint import lint

    doubts = sorted([*loaded.warnings, *lint(loaded, snapshot)], key=lambda p: (p.file != loaded.file, p.file, p.line))
    if args.format == "json":
        terminal.json(summary(loaded, snapshot, doubts))
    elif args.format == "text":
        _print_summary(str(path), loaded, snapshot, terminal)
        show_problems(doubts, terminal, "warning")
    else:
        notices = [("notice", problem) for problem in _inactive(loaded, snapshot)]
        _print_findings([*(("warning", problem) for problem in doubts), *notices], terminal, args.format)
    return int(args.strict and bool(doubts))


def summary(loaded: "Loaded", snapshot: "Snapshot", doubts: Sequence[Problem] = ()) -> Json:
    """What a good file means, for a machine."""
    return {
        "ok": True,
        "revision": snapshot.revision,
        "providers": [
            {
                "name": provider.name,
                "provider_type": provider.provider_type,
                "base_url": provider.base_url,
                "proxy": proxy_before(provider),
                "active": provider.active,
                "reason": provider.reason or None,
                "priority": provider.priority,
                "tiers": dict(provider.tiers),
                "models": list(provider.models),
            }
            for provider in snapshot.providers.values()
        ],
        "routes": [{"path": r.path, "dialect": r.dialect.name, "on_loss": r.on_loss} for r in snapshot.routes.values()],
        "models": [_rule(rule) for rule in snapshot.models.rules],
        "tests": len(loaded.config.tests),
        "files": [loaded.file, *map(loaded.part_file, loaded.included)],
        "warnings": [problem.plain() for problem in doubts],
    }


def _rule(rule: "ModelRule") -> Json:
    """A rule in the words of the file, what it does not say left out but for `tier` and `targets`."""
    said: Json = {
        "when": rule.when.text if rule.when else None,
        "model": rule.model.text if rule.model else None,
        "providers": list(rule.providers),
        "strategy": rule.strategy,
    }
    return {
        "regex" if rule.pattern.regex else "match": rule.pattern.text,
        "tier": rule.tier,
        "targets": [{"provider": target.provider, "model": target.model.text} for target in rule.targets],
        **{word: value for word, value in said.items() if value},
    }


def _print_summary(path: str, loaded: "Loaded", snapshot: "Snapshot", terminal: Terminal) -> None:
    terminal.say(f"{terminal.paint('good', 'green')}  {path}  revision {snapshot.revision}")
    sections: dict[str, list[tuple[str, ...]]] = {
        "providers": [_provider_row(provider, terminal) for provider in snapshot.providers.values()],
        "models": [(rule.pattern.text, _goes_to(rule)) for rule in snapshot.models.rules],
        "routes": [(route.path, route.dialect.name) for route in snapshot.routes.values()],
    }
    for title, rows in sections.items():
        terminal.say(f"\n{terminal.paint(title, 'bold')}")
        for line in aligned(rows) or ["  none"]:
            terminal.say(line)
    if loaded.config.tests:
        terminal.say(f"\n{len(loaded.config.tests)} tests: run them with `portbroker test {path}`")


def _provider_row(provider: "Provider", terminal: Terminal) -> tuple[str, ...]:
    state = "active" if provider.active else "inactive"
    what = place_of(provider) if provider.active else provider.reason
    tiers = ", ".join(f"{tier}: {model}" for tier, model in provider.tiers.items())
    return (provider.name, provider.provider_type, state, what, tiers)


def _goes_to(rule: "ModelRule") -> str:
    if rule.tier:
        where = f"the {rule.tier} model of {' and '.join(rule.providers) or 'each provider'}"
    elif rule.model is not None:
        where = f"{rule.model.text} of {' and '.join(rule.providers)}" if rule.providers else f"as {rule.model.text}"
    else:
        between = ", then " if rule.strategy in (None, "priority") else ", "
        where = between.join(f"{target.provider}/{target.model.text}" for target in rule.targets)
    strategy = f" ({rule.strategy})" if rule.strategy else ""
    return where + strategy + (f" when {rule.when.text}" if rule.when else "")


def _inactive(loaded: "Loaded", snapshot: "Snapshot") -> "Iterator[Problem]":
    """The providers that take no calls, each where it stands."""
    for index, provider in enumerate(loaded.config.providers):
        if not (known := snapshot.providers[provider.name]).active:
            yield replace(loaded.problem(("providers", index), f"{known.name} is inactive: {known.reason}"), path="")


def _print_findings(found: "list[tuple[str, Problem]]", terminal: Terminal, form: str) -> None:
    from portbroker.cli.annotations import sarif, workflow_command

    if form == "json":
        terminal.json({"ok": False, "problems": [problem.plain() for _, problem in found]})
    elif form == "sarif":
        terminal.json(sarif(found))
    else:
        for level, problem in found:
            terminal.say(workflow_command(level, problem))
