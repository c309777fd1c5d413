"""`portbroker explain`: where a call goes, and why."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, near
from portbroker.cli.terminal import CommandError, Terminal, aligned
from portbroker.conversation import Json
from portbroker.errors import CallError

if TYPE_CHECKING:
    from portbroker.facts import Facts
    from portbroker.resolution import Explanation, Step
    from portbroker.snapshot import Pool, Route, Snapshot, Target

DESCRIPTION = """\
Say which rule decides for a call, what its conditions see, which targets are tried in which order, and why.

Without a body, the call is one that says nothing but the model."""
EXAMPLES = """\
  portbroker explain --model claude-sonnet-5
  portbroker explain --model gpt-5-mini --path /v1/chat/completions
  portbroker explain --body call.json --header 'x-team: research'
  portbroker explain --model claude-haiku-4-5 --key research --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--model", help="the model as a client asks for it (default: that of the body)")
    parser.add_argument("--path", help="the path of the call, to see its dialect as well")
    parser.add_argument("--body", metavar="FILE", help="the body of the call; `-` reads it from standard input")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the call; as often as needed",
    )
    parser.add_argument("--key", metavar="NAME", default="", help="the name of the API key that the call shows")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be printed."""

    route: "Route | None"
    facts: "Facts"
    explained: "Explanation"
    targets: "list[tuple[Target, str]]"


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    _, snapshot = compiled(config_path(args))
    route = _route(snapshot, args.path) if args.path else None
    facts = _facts(args, route)
    try:
        explained = snapshot.models.explain(facts, facts.model)
    except CallError as error:
        raise CommandError(str(error), "`portbroker check` lists the rules and the providers") from error
    answer = _Answer(route, facts, explained, _ordered(explained, facts))
    if args.json:
        terminal.json(_plain(answer))
    else:
        _print(answer, terminal)
    return 0 if answer.targets else 1


def _facts(args: argparse.Namespace, route: "Route | None") -> "Facts":
    """The call that is asked about."""
    import orjson

    from portbroker.call import parse_call
    from portbroker.dialects.registry import ANTHROPIC_MESSAGES
    from portbroker.facts import Facts

    dialect = route.dialect if route else ANTHROPIC_MESSAGES
    try:
        raw = _read(args.body) if args.body else b"{}"
        call = parse_call(_with_model(raw, args.model) if args.model else raw, dialect)
    except (CallError, orjson.JSONDecodeError) as error:
        hint = "" if args.body else "--model NAME, or --body FILE"
        raise CommandError(str(error) if args.body else "say which model is asked for", hint, status=2) from error
    return Facts(call, dict(map(_header, args.header)), args.key)


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", status=2) from error


def _with_model(raw: bytes, model: str) -> bytes:
    import orjson

    body = orjson.loads(raw)
    return orjson.dumps({**body, "model": model}) if isinstance(body, dict) else raw


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"{text!r} is not a header", "write it as 'NAME: VALUE'", status=2)
    return name.strip().lower(), value.strip()


def _ordered(explained: "Explanation", facts: "Facts") -> "list[tuple[Target, str]]":
    """The targets as a gateway would try them that has just started, and why each has its place."""
    from portbroker.cli.reasons import reason
    from portbroker.standing import Undisturbed
    from portbroker.strategies import order

    return [(target, reason(explained, target, facts)) for target in order(explained.pool, facts, Undisturbed())]


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


def _print(answer: _Answer, terminal: Terminal) -> None:
    from portbroker.cli.reasons import about

    route, pool = answer.route, answer.explained.pool
    facts = [("path", f"{route.path} ({route.dialect.name})")] if route else []
    facts += [("model", answer.facts.model), ("rule", pool.why)]
    if pool.strategy != "priority":
        facts.append(("strategy", about(pool)))
    facts += [("fallbacks", f"{word}: {', then '.join(names)}") for word, names in _fallbacks(pool).items()]
    for line in aligned(facts, indent=""):
        terminal.say(line)
    if answer.explained.steps:
        _section("conditions", map(_look, answer.explained.steps), terminal)
    rows = [
        (f"{number}.", target.provider.name, target.model, target.dialect.name, target_url(target), _way(route, target),
         why)
        for number, (target, why) in enumerate(answer.targets, 1)
    ]  # fmt: skip
    none = ("none: every provider that could answer is inactive",)
    _section("tried in this order", [_without_gaps(row) for row in rows] or [none], terminal)
    if pool.passed_over:
        _section("passed over", pool.passed_over, terminal)


def _without_gaps(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell for cell in row if cell)


def _section(title: str, rows: Iterable[Sequence[str]], terminal: Terminal) -> None:
    terminal.say(f"\n{terminal.paint(title, 'bold')}")
    for line in aligned(rows):
        terminal.say(line)


def _look(step: "Step") -> tuple[str, ...]:
    """A rule with conditions, whether they held, and what they saw."""
    when = step.rule.when.text if step.rule.when else ""
    saw = ", ".join(f"{word} is {_shown(value)}" for word, value in step.saw)
    return f"rule {step.rule.number}", step.name, when, "holds" if step.held else "does not hold", saw


def _shown(value: Any) -> str:
    from portbroker.compile.conditions import written
    from portbroker.fieldmap.segments import MISSING

    return "absent" if value is MISSING else written(value)


def _way(route: "Route | None", target: "Target") -> str:
    if route is None:
        return ""
    return "bytes pass" if route.dialect is target.dialect else "translated"


def _plain(answer: _Answer) -> Json:
    pool, route = answer.explained.pool, answer.route
    targets = [
        {"provider": t.provider.name, "model": t.model, "dialect": t.dialect.name, "url": target_url(t), "reason": why}
        for t, why in answer.targets
    ]
    conditions = [
        {"rule": s.rule.number, "holds": s.held, "saw": {word: _json(value) for word, value in s.saw}}
        for s in answer.explained.steps
    ]
    path = {"path": route.path, "dialect": route.dialect.name} if route else {}
    return {
        **path,
        "model": answer.facts.model,
        "why": pool.why,
        "strategy": pool.strategy,
        "conditions": conditions,
        "targets": targets,
        "fallbacks": _fallbacks(pool),
        "passed_over": [{"provider": name, "reason": reason} for name, reason in pool.passed_over],
    }


def _fallbacks(pool: "Pool") -> dict[str, list[str]]:
    """The models to ask instead, by the words of the file."""
    from portbroker.resolution import FALLBACKS

    return {word: list(pool.fallbacks[kind]) for word, kind in FALLBACKS.items() if kind in pool.fallbacks}


def _json(value: Any) -> Any:
    from portbroker.fieldmap.segments import MISSING

    return None if value is MISSING else value
