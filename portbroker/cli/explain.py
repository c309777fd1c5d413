"""`portbroker explain`: where the calls for a model go, and why."""

import argparse
from typing import TYPE_CHECKING

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, near
from portbroker.cli.terminal import CommandError, Terminal, aligned
from portbroker.conversation import Json
from portbroker.errors import CallError

if TYPE_CHECKING:
    from portbroker.snapshot import Pool, Route, Snapshot, Target

DESCRIPTION = "Say which rule decides for a requested model, which targets are tried in which order, and which are not."
EXAMPLES = """\
  portbroker explain --model claude-sonnet-5
  portbroker explain --model gpt-5-mini --path /v1/chat/completions
  portbroker explain --model claude-haiku-4-5 --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--model", required=True, help="the model as a client asks for it")
    parser.add_argument("--path", help="the path of the call, to see its dialect as well")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    _, snapshot = compiled(config_path(args))
    route = _route(snapshot, args.path) if args.path else None
    try:
        pool = snapshot.explain(args.model)
    except CallError as error:
        raise CommandError(str(error), "`portbroker check` lists the rules and the providers") from error
    if args.json:
        terminal.json(_plain(args.model, route, pool))
    else:
        _print(args.model, route, pool, terminal)
    return 0 if pool.targets else 1


def target_url(target: "Target") -> str:
    """Where a target's calls go."""
    origin = target.origin
    if not origin.host:
        return "inside this process"
    usual = {"https": 443, "http": 80}.get(origin.scheme)
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if origin.port in (usual, 0) else f":{origin.port}"
    return f"{origin.scheme}://{host}{port}{target.path}"


def _route(snapshot: "Snapshot", path: str) -> "Route":
    if route := snapshot.routes.get(path.partition("?")[0]):
        return route
    raise CommandError(f"{path} is not a route of this file", near(path, snapshot.routes))


def _print(model: str, route: "Route | None", pool: "Pool", terminal: Terminal) -> None:
    facts = [("model", model), ("rule", pool.why)]
    if route:
        facts.insert(0, ("path", f"{route.path} ({route.dialect.name})"))
    rows = [
        (f"{number}.", target.provider.name, target.model, target.dialect.name, target_url(target), _way(route, target))
        for number, target in enumerate(pool.targets, 1)
    ]
    for line in aligned(facts, indent=""):
        terminal.say(line)
    terminal.say(f"\n{terminal.paint('tried in this order', 'bold')}")
    for line in aligned(rows) or ["  none: every provider that could answer is inactive"]:
        terminal.say(line)
    if pool.passed_over:
        terminal.say(f"\n{terminal.paint('passed over', 'bold')}")
        for line in aligned(pool.passed_over):
            terminal.say(line)


def _way(route: "Route | None", target: "Target") -> str:
    if route is None:
        return ""
    return "bytes pass" if route.dialect is target.dialect else "translated"


def _plain(model: str, route: "Route | None", pool: "Pool") -> Json:
    targets = [
        {"provider": t.provider.name, "model": t.model, "dialect": t.dialect.name, "url": target_url(t)}
        for t in pool.targets
    ]
    passed_over = [{"provider": name, "reason": reason} for name, reason in pool.passed_over]
    path = {"path": route.path, "dialect": route.dialect.name} if route else {}
    return {**path, "model": model, "why": pool.why, "targets": targets, "passed_over": passed_over}
