"""Admin calls from commands: to the running server of this user, or to one that a URL names.

Of this user's own server `server.json` gives the address and a token; for another, there is `--url` and an admin key
(`--key`, or better $PORTBROKER_ADMIN_KEY), or a sign-in with `portbroker login`. The one rule: a credential goes to the
server that it is for, and to no other.
"""

import argparse
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from portbroker.cli.files import DEFAULT
from portbroker.cli.sessions import session_for
from portbroker.cli.terminal import CommandError, setting
from portbroker.server_file import RunningServer, found
from portbroker.state_dir import StateDir, StateError, state_dir

TIMEOUT = 60.0
"""Seconds that an answer may take."""
_LONGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)

    def json(self) -> Any:
        """The body. Raises `CommandError` when it is none of ours."""
        try:
            return json.loads(self.raw)
        except ValueError:
            raise CommandError("what answered is no PortBroker: its answer is not JSON", "check the URL") from None


class Refused(CommandError):
    """The server refuses. `error` is its own account of why, `code` the HTTP status."""

    def __init__(self, code: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message") or f"HTTP {code}"), _HINTS.get(code, ""))
        self.code = code
        self.error = error


_HINTS = {
    401: "set PORTBROKER_ADMIN_KEY to an admin key, or sign in with `portbroker login`",
    403: "`portbroker keys list` shows which keys are an admin's",
}


class AdminClient:
    """Admin calls to the server at `url`."""

    def __init__(self, url: str, credential: str = "") -> None:
        self.url = url.rstrip("/")
        self._credential = credential
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"{url} is no URL of a server", "write it like http://127.0.0.1:8000", status=2)
        self._secure, self._host, self._port, self._prefix = (
            parts.scheme == "https",
            parts.hostname,
            parts.port,
            parts.path,
        )

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that is answered. Raises `Refused`, and `CommandError` when nobody answers."""
        return self.fetch(method, path, body, headers).json()

    def fetch(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Fetched:
        """What is answered, as it came. Raises as `ask` does."""
        fetched = self._sent(method, path, body, headers or {})
        if fetched.status >= 400:
            told = fetched.json()
            error = told.get("error") if isinstance(told, dict) else None
            raise Refused(fetched.status, error if isinstance(error, dict) else {})
        return fetched

    def _sent(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Fetched:
        sent = {"accept": "application/json", **headers}
        if self._credential:
            sent["authorization"] = f"Bearer {self._credential}"
        data = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            connection.request(method, self._prefix + path, data, sent)
            answer = connection.getresponse()
            return Fetched(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read(_LONGEST))
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CommandError(f"{self.url} does not answer: {reason}", "is the server running?") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)


def path_of(*steps: str) -> str:
    """A path of the admin API, whatever is in its steps."""
    return "/admin/" + "/".join(quote(step, safe="") for step in steps)


def add_server(parser: argparse.ArgumentParser) -> None:
    """The arguments by which a server is named."""
    parser.add_argument(
        "--url", metavar="URL", help="the server (default: the running one of this user; $PORTBROKER_URL)"
    )
    parser.add_argument("--key", metavar="KEY", help="an admin key; $PORTBROKER_ADMIN_KEY keeps it out of sight")
    parser.add_argument("--config", metavar="FILE", help=f"the file of the server (default: {DEFAULT})")


def client(args: argparse.Namespace) -> AdminClient:
    """The server that the arguments name, or the running one. Raises `CommandError` when there is none."""
    if reached := running_client(args):
        return reached
    raise CommandError(f"no server of {file_of(args)} is running", "start it with `portbroker`, or name one with --url")


def running_client(args: argparse.Namespace) -> AdminClient | None:
    """As `client`; None when no server is named and none is running."""
    key = args.key or setting("PORTBROKER_ADMIN_KEY")
    if url := args.url or setting("PORTBROKER_URL"):
        return AdminClient(url, key or session_for(url))
    if server := running_server(file_of(args)):
        return AdminClient(server.url, server.token)
    return None


def running_server(file: Path) -> RunningServer | None:
    """The server of this file that runs on this machine, if it is this user's."""
    try:
        server = found(state_of(file))
    except StateError as error:
        raise CommandError(str(error)) from error
    return server if server and server.alive else None


def file_of(args: argparse.Namespace) -> Path:
    """The file that the server serves."""
    return Path(args.config or setting("PORTBROKER_CONFIG") or DEFAULT)


def state_of(file: Path) -> StateDir:
    """The state directory that goes with a file, be the file right or wrong."""
    return state_dir(file, setting("PORTBROKER_STATE") or _said(file) or ".portbroker")


def _said(file: Path) -> str:
    """What the file says of it, if it can be read so far."""
    from portbroker.config import document, source
    from portbroker.config.syntax import Fault

    try:
        data = document.parse(source.text_of(source.read(file))).data
    except Fault:
        return ""
    server = data.get("server") if isinstance(data, dict) else None
    word = server.get("state") if isinstance(server, dict) else None
    return word if isinstance(word, str) else ""
