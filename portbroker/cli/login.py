"""`portbroker login`: sign in to a server elsewhere, for an hour."""

import argparse
import sys
from getpass import getpass

from portbroker.cli.admin_client import AdminClient
from portbroker.cli.sessions import forget_session, keep_session
from portbroker.cli.terminal import CommandError, Terminal, setting

DESCRIPTION = """\
Sign in to the admin API of a server, with an admin key, for an hour.

The key is asked for and not kept; what is kept, for this user alone, is a token that ends by itself. Commands that name
the same --url use it. The running server of this user needs no sign-in."""
EXAMPLES = """\
  portbroker login https://gateway.example
  portbroker keys list --url https://gateway.example
  portbroker login https://gateway.example --forget"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", nargs="?", metavar="URL", help="the server (default: $PORTBROKER_URL)")
    parser.add_argument("--forget", action="store_true", help="forget the sign-in instead")
    parser.add_argument("--json", action="store_true", help="the answer as JSON, with the token")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    url = args.url or setting("PORTBROKER_URL")
    if not url:
        raise CommandError("no server is named", "portbroker login https://gateway.example", status=2)
    if args.forget:
        terminal.say("forgotten" if forget_session(url) else "there was no sign-in")
        return 0
    signed = AdminClient(url).ask("POST", "/admin/login", {"key": _key()})
    keep_session(url, signed["token"], signed["expires_in"])
    if args.json:
        terminal.json(signed)
    else:
        terminal.say(f"signed in to {url} as {signed['name']} until {signed['expires_at']}")
    return 0


def _key() -> str:
    """The admin key: of the environment, typed unseen, or a line of standard input."""
    key = setting("PORTBROKER_ADMIN_KEY")
    if not key:
        key = getpass("admin key: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        raise CommandError("no key was given", "type an admin key, or set PORTBROKER_ADMIN_KEY")
    return key.strip()
