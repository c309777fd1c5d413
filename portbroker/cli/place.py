"""Which gateway a command is about: the one that is named, that runs here, or that the file would be.

The one rule: a command that only wants an address needs no file, and a file that cannot be served is not its affair.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from portbroker.cli.files import DEFAULT
from portbroker.cli.terminal import CommandError, setting
from portbroker.errors import ConfigError

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.snapshot import Snapshot

_HERE: Final = "http://127.0.0.1:8000"
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway's address. `told_by` says how it is known, `credential` what opens its admin API, if anything."""

    url: str
    told_by: str
    credential: str = field(default="", repr=False)


def add_url(parser: argparse.ArgumentParser) -> None:
    """The arguments by which a gateway is named."""
    parser.add_argument(
        "--url", type=_url, help="the gateway (default: $PORTBROKER_URL, the one that runs here, or what the file says)"
    )
    parser.add_argument("--config", metavar="FILE", help=f"its file (default: $PORTBROKER_CONFIG, else {DEFAULT})")


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as {_HERE}")
    return text.rstrip("/").removesuffix("/v1")


def place_of(args: argparse.Namespace) -> Place:
    """The gateway that the arguments mean. Raises `CommandError`."""
    from portbroker.cli.admin_client import running_server
    from portbroker.cli.sessions import session_for

    file = file_of(args)
    named = args.url or setting("PORTBROKER_URL").rstrip("/")
    server = running_server(file) if file else None
    if server and named in ("", server.url):
        return Place(server.url, "the server that runs here", server.token)
    if named:
        told_by = "--url" if args.url else "$PORTBROKER_URL"
        return Place(named, told_by, setting("PORTBROKER_ADMIN_KEY") or session_for(named))
    loaded = compiled_or_none(file)[0] if file else None
    if loaded is None:
        return Place(_HERE, "the default")
    host = _EVERYWHERE.get(loaded.config.server.host, loaded.config.server.host)
    return Place(f"http://{f'[{host}]' if ':' in host else host}:{loaded.config.server.port}", str(file))


def file_of(args: argparse.Namespace) -> Path | None:
    """The file that is meant; None when there is none. Raises `CommandError` when one was named that is not there."""
    named = args.config or setting("PORTBROKER_CONFIG")
    file = Path(named or DEFAULT)
    if file.exists():
        return file
    if named:
        raise CommandError(f"{file}: no such file")
    return None


def compiled_or_none(file: Path) -> "tuple[Loaded | None, Snapshot | None]":
    """What stands in a file and what it means, as far as it can be served."""
    from portbroker.cli.loading import compiled

    try:
        return compiled(file)
    except ConfigError:
        return None, None
