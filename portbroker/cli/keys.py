"""`portbroker keys`: API keys are made, listed, shown, rotated, revoked and deleted.

The one rule: a secret goes to standard output, once and alone where that is asked for, and nowhere else.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portbroker.cli import key_words
from portbroker.cli.admin_client import add_server, path_of
from portbroker.cli.offline import Office, office
from portbroker.cli.spans import moment, span
from portbroker.cli.terminal import CommandError, Terminal, aligned
from portbroker.conversation import Json

DESCRIPTION = """\
Make, list, show, rotate, revoke and delete API keys.

The running server of this user is asked, or the one that --url names; when none runs, the database itself."""
EXAMPLES = """\
  portbroker keys create team-a
  portbroker keys create ci --budget 50/month --rpm 60 --models 'claude-*,fast' --expires 90d
  export ANTHROPIC_AUTH_TOKEN=$(portbroker keys create laptop --secret-only)
  portbroker keys list
  portbroker keys rotate team-a --overlap 24h
  portbroker keys revoke team-a"""

_PERIODS = ("day", "week", "month", "total")


def configure(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    _create(_act(acts, "create", "make a key; its secret is shown this once"))
    listing = _act(acts, "list", "list the keys")
    listing.add_argument("--search", default="", metavar="TEXT", help="those whose names hold this")
    _named(_act(acts, "show", "show a key"))
    rotate = _named(_act(acts, "rotate", "give a key another secret, shown this once"))
    rotate.add_argument("--overlap", type=span, default=0, metavar="SPAN",
                        help="how long the old secret stays good, like 30m or 24h (default: not at all)")  # fmt: skip
    _secret_only(rotate)
    _named(_act(acts, "revoke", "end a key for ever"))
    _named(_act(acts, "delete", "delete a key; its usage stays"))


def _act(acts: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(name, help=what, description=what, allow_abbrev=False)
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="the name of the key, or its id")
    return parser


def _secret_only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret-only", action="store_true", help="print the secret and nothing else")


def _create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what the key is called; no two have one name")
    parser.add_argument("--admin", action="store_true", help="a key for the admin API")
    parser.add_argument("--description", default="", metavar="TEXT")
    parser.add_argument("--tags", type=_words, default=[], metavar="A,B", help="its usage can be told by these")
    parser.add_argument("--expires", type=moment, metavar="WHEN", help="a span like 90d, or a time like 2027-01-31")
    parser.add_argument(
        "--models", type=_words, metavar="GLOBS", help="models that it may ask for, like 'claude-*,fast'"
    )
    parser.add_argument("--routes", type=_words, metavar="GLOBS", help="paths that it may call")
    parser.add_argument("--providers", type=_words, metavar="GLOBS", help="providers that it may be served by")
    parser.add_argument("--rpm", type=int, metavar="N", help="requests in a minute")
    parser.add_argument("--tpm", type=int, metavar="N", help="tokens in a minute")
    parser.add_argument("--concurrent", type=int, metavar="N", help="calls at once")
    parser.add_argument("--budget", type=_budget, metavar="USD[/PERIOD]",
                        help="what it may spend, like 50/month; in a day, week, month or in total")  # fmt: skip
    parser.add_argument(
        "--time-zone", default="UTC", metavar="ZONE", help="where the budget's days begin, like Europe/Berlin"
    )
    _secret_only(parser)


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]


def _budget(text: str) -> tuple[float, str]:
    amount, _, period = text.partition("/")
    try:
        value = float(amount.removeprefix("$"))
    except ValueError:
        raise argparse.ArgumentTypeError("must be an amount in US dollars, like 50 or 50/month") from None
    if (period := period or "month") not in _PERIODS:
        raise argparse.ArgumentTypeError(f"the period must be one of {', '.join(_PERIODS)}")
    return value, period


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    with office(args) as desk:
        return _ACTS[args.act](args, terminal, desk)


# the acts


def _make(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    limits = {"requests_per_minute": args.rpm, "tokens_per_minute": args.tpm, "concurrent": args.concurrent}
    scopes = {name: getattr(args, name) for name in ("models", "routes", "providers")}
    fields: Json = {"name": args.name, "description": args.description, "tags": args.tags, "admin": args.admin,
                    "expires_at": args.expires, "scopes": scopes, "limits": limits}  # fmt: skip
    if args.budget:
        amount, period = args.budget
        fields["budget"] = {"amount": amount, "period": period, "time_zone": args.time_zone}
    return _show_secret(desk.ask("POST", path_of("api-keys"), fields), args, terminal)


def _list(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    keys = list(_all(desk, args.search))
    if args.json:
        terminal.json(keys)
    elif keys:
        _say([key_words.HEADS, *map(key_words.row, keys)], terminal)
    else:
        terminal.note("there are no keys; `portbroker keys create NAME` makes one")
    return 0


def _all(desk: Office, search: str) -> list[Json]:
    from urllib.parse import urlencode

    keys: list[Json] = []
    after: dict[str, str] = {}
    while True:
        query = urlencode({"limit": 1000, **({"search": search} if search else {}), **after})
        page = desk.ask("GET", f"{path_of('api-keys')}?{query}")
        keys += page["data"]
        if page["next"] is None:
            return keys
        after = {"after": page["next"]}


def _show(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    return _told(desk.ask("GET", path_of("api-keys", _id(args.name, desk))), args, terminal)


def _rotate(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    path = path_of("api-keys", _id(args.name, desk), "rotate")
    return _show_secret(desk.ask("POST", path, {"overlap_seconds": int(args.overlap)}), args, terminal)


def _revoke(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    key = desk.ask("POST", path_of("api-keys", _id(args.name, desk), "revoke"))
    return _done(
        key, f"{key['name']} is revoked, and known to be so on every replica within two seconds", args, terminal
    )


def _delete(args: argparse.Namespace, terminal: Terminal, desk: Office) -> int:
    gone = desk.ask("DELETE", path_of("api-keys", _id(args.name, desk)))
    return _done(gone, f"{args.name} is deleted; its usage stays", args, terminal)


_ACTS: dict[str, Callable[[argparse.Namespace, Terminal, Office], int]] = {
    "create": _make, "list": _list, "show": _show, "rotate": _rotate, "revoke": _revoke, "delete": _delete,
}  # fmt: skip


def _id(name: str, desk: Office) -> str:
    """The id of the key of this name, or with this id. Raises CommandError for none."""
    keys = _all(desk, "" if name.startswith("key_") else name[:100])
    found = [key for key in keys if name in (key["name"], key["id"])]
    if not found:
        from portbroker.cli.loading import near

        raise CommandError(f"there is no key {name!r}", near(name, (key["name"] for key in _all(desk, ""))))
    return str(found[0]["id"])


# what is shown


def _done(answer: Json, words: str, args: argparse.Namespace, terminal: Terminal) -> int:
    if args.json:
        terminal.json(answer)
    else:
        terminal.say(words)
    return 0


def _show_secret(key: Json, args: argparse.Namespace, terminal: Terminal) -> int:
    if args.secret_only:
        terminal.say(key["key"])
        return 0
    status = _told(key, args, terminal)
    if not args.json:
        terminal.note("This is the only time that the secret is shown. Calls show it as `Authorization: Bearer ...`.")
    return status


def _told(key: Json, args: argparse.Namespace, terminal: Terminal) -> int:
    if args.json:
        terminal.json(key)
    else:
        _say(key_words.rows(key), terminal)
    return 0


def _say(rows: Iterable[Sequence[str]], terminal: Terminal) -> None:
    for line in aligned(rows, indent=""):
        terminal.say(line)
