"""`portbroker usage`: what was used and what it cost."""

import argparse
from collections.abc import Sequence
from urllib.parse import urlencode

from portbroker.cli.admin_client import add_server, path_of
from portbroker.cli.offline import Office, office
from portbroker.cli.spans import count, money, since
from portbroker.cli.terminal import Terminal, aligned
from portbroker.conversation import Json

DESCRIPTION = """\
Sum up usage and cost by key, model, provider, day or tag, or list the calls themselves.

The running server of this user is asked, or the one that --url names; when none runs, the database itself."""
EXAMPLES = """\
  portbroker usage                          of the last 30 days, by key
  portbroker usage --by day,model --since 7d
  portbroker usage --by provider --since 2026-11-01 --until 2026-12-01 --csv > november.csv
  portbroker usage --calls --since 1h       the calls themselves, the newest first"""

_DIMENSIONS = ("key", "model", "provider", "day", "tag")
_FILTERS = ("key_id", "model", "provider", "tag", "outcome")
_CALLS_SHOWN = 50


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", type=_by, default="key", metavar="WORDS",
                        help=f"one or more of {', '.join(_DIMENSIONS)}, with commas (default: key)")  # fmt: skip
    parser.add_argument("--since", type=since, metavar="WHEN", help="a span like 7d, or a day or time (default: 30d)")
    parser.add_argument("--until", type=since, metavar="WHEN", help="the same (default: now)")
    parser.add_argument("--key-id", metavar="ID", help="of the key of this id")
    parser.add_argument("--model", metavar="NAME", help="for this model")
    parser.add_argument("--provider", metavar="NAME", help="that this provider answered")
    parser.add_argument("--tag", metavar="TAG", help="with this tag")
    parser.add_argument("--outcome", metavar="WORD", help="ok, the kind of error, or cancelled")
    parser.add_argument(
        "--calls", action="store_true", help=f"the calls themselves; for people the newest {_CALLS_SHOWN}"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="all of it as CSV")
    form.add_argument("--json", action="store_true", help="all of it as JSON")
    add_server(parser)


def _by(text: str) -> str:
    words = [word.strip() for word in text.split(",")]
    if not words or set(words) - set(_DIMENSIONS) or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(f"must be one or more of {', '.join(_DIMENSIONS)}, each once")
    return ",".join(words)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    query = {name.removesuffix("_id"): getattr(args, name) for name in _FILTERS if getattr(args, name)}
    query["since"] = args.since or since("30d")
    if args.until:
        query["until"] = args.until
    if not args.calls:
        query["by"] = args.by
    path = path_of("usage", "calls") if args.calls else path_of("usage")
    with office(args) as desk:
        if args.csv:
            answer = desk.fetch("GET", f"{path}?{urlencode({**query, 'format': 'csv'})}")
            terminal.write(answer.raw)
        elif args.json:
            terminal.json(_all(desk, path, query))
        elif args.calls:
            _show_calls(desk.ask("GET", f"{path}?{urlencode({**query, 'limit': str(_CALLS_SHOWN)})}"), terminal)
        else:
            _show_sums(_all(desk, path, query), args.by.split(","), terminal)
    return 0


def _all(desk: Office, path: str, query: dict[str, str]) -> list[Json]:
    rows: list[Json] = []
    after: dict[str, str] = {}
    while True:
        page = desk.ask("GET", f"{path}?{urlencode({**query, 'limit': '1000', **after})}")
        rows += page["data"]
        if page["next"] is None:
            return rows
        after = {"after": page["next"]}


_SUMMED = ("calls", "failed", "input_tokens", "cached_input_tokens", "output_tokens")


def _show_sums(groups: list[Json], by: Sequence[str], terminal: Terminal) -> None:
    if not groups:
        terminal.note("nothing was used in this time")
        return
    heads = [*(word.upper() for word in by), "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST"]
    rows = [[*(_name(group, word) for word in by), *(count(group[name]) for name in _SUMMED), money(group["cost"])]
            for group in groups]  # fmt: skip
    if len(groups) > 1 and "tag" not in by:  # a call with two tags is in two groups
        sums = [count(sum(group[name] for group in groups)) for name in _SUMMED]
        rows.append(["total", *[""] * (len(by) - 1), *sums, money(sum(group["cost"] for group in groups))])
    for line in aligned(_right([heads, *rows], len(by)), indent=""):
        terminal.say(line)


def _name(group: Json, word: str) -> str:
    if word == "key":
        return str(group["caller"] or group["key"] or "(no key)")
    return str(group[word] or "(none)")


def _right(rows: list[list[str]], first: int) -> list[list[str]]:
    """The rows with numbers, from column `first` on, at the right of their columns."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [[cell.rjust(widths[at]) if at >= first else cell for at, cell in enumerate(row)] for row in rows]


def _show_calls(page: Json, terminal: Terminal) -> None:
    rows = [_call(call) for call in page["data"]]
    if not rows:
        terminal.note("there were no calls in this time")
        return
    heads = ["AT (UTC)", "CALLER", "MODEL", "ANSWERED BY", "OUTCOME", "INPUT", "OUTPUT", "COST", "TIME"]
    for line in aligned(_right([heads, *rows], 5), indent=""):
        terminal.say(line)
    if page["next"]:
        terminal.note("there are more; --json and --csv give them all")


def _call(call: Json) -> list[str]:
    outcome = f"{call['outcome']}, partial" if call["partial"] else call["outcome"]
    by = f"{call['provider']}/{call['upstream_model']}" if call["provider"] else "nobody"
    return [call["at"][:19].replace("T", " "), call["caller"], call["model"], by, outcome, count(call["input_tokens"]),
            count(call["output_tokens"]), money(call["cost"]), f"{call['latency_ms'] / 1000:.2f}s"]  # fmt: skip
