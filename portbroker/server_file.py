"""Where the running server is, for commands of the same OS user: `server.json` in the state directory.

Whoever can read the file is an admin, so only its owner can. The token is another with each start, so that a file which
a killed server left behind opens nothing. The one rule: a server takes back only the file that it wrote itself.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from portbroker.state_dir import StateDir, StateError, read_private, write_private


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server of this user: where it answers, its process, and the token that it takes from this user's commands."""

    url: str
    pid: int
    token: str = field(repr=False)

    @property
    def alive(self) -> bool:
        """Whether the process is there; not, whether it answers."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def new_token() -> str:
    """A token for one run of a server."""
    return secrets.token_urlsafe(32)


@contextlib.contextmanager
def announced(state: StateDir, url: str, token: str) -> Iterator[None]:
    """The file is there until the context ends. Raises `StateError`."""
    server = RunningServer(_reachable(url), os.getpid(), token)
    write_private(state.server, json.dumps(asdict(server)).encode())
    try:
        yield
    finally:
        with contextlib.suppress(StateError):
            if found(state) == server:
                state.server.unlink(missing_ok=True)


def _reachable(url: str) -> str:
    """A URL by which this machine reaches a server that listens on all its addresses."""
    return url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")


def found(state: StateDir) -> RunningServer | None:
    """The server that the file speaks of; None when there is none. Raises `StateError`, also when others read it."""
    if not state.server.exists():
        return None
    try:
        said = json.loads(read_private(state.server))
        return RunningServer(str(said["url"]), int(said["pid"]), str(said["token"]))
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{state.server} cannot be understood: delete it, and start the server again") from None
