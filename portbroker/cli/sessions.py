"""Sign-ins of `portbroker login`, by the URL of the server, in a file of this user alone.

The one rule: what is kept is a token that ends within the hour; a key is never written.
"""

import json
import time
from pathlib import Path
from typing import Any

from portbroker.cli.terminal import CommandError, setting
from portbroker.state_dir import StateError, read_private, write_private


def sessions_file() -> Path:
    """Where they are kept."""
    home = setting("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "portbroker" / "sessions.json"


def session_for(url: str) -> str:
    """The token for this server; "" for none, or one that is over."""
    session = _kept().get(_name(url))
    if isinstance(session, dict) and isinstance(session.get("until"), (int, float)) and session["until"] > time.time():
        return str(session.get("token", ""))
    return ""


def keep_session(url: str, token: str, lifetime: float) -> None:
    """Remember a token for this server; those that are over are forgotten."""
    now = time.time()
    kept = {name: one for name, one in _kept().items() if isinstance(one, dict) and one.get("until", 0) > now}
    kept[_name(url)] = {"token": token, "until": now + lifetime}
    file = sessions_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, json.dumps(kept).encode())
    except (OSError, StateError) as error:
        raise CommandError(
            f"the sign-in cannot be kept: {error}", "set XDG_CONFIG_HOME to a writable directory"
        ) from error


def forget_session(url: str) -> bool:
    """Forget the token for this server, if there is one."""
    kept = _kept()
    if kept.pop(_name(url), None) is None:
        return False
    write_private(sessions_file(), json.dumps(kept).encode())
    return True


def _name(url: str) -> str:
    return url.rstrip("/").lower()


def _kept() -> dict[str, Any]:
    file = sessions_file()
    if not file.exists():
        return {}
    try:
        kept = json.loads(read_private(file))
    except (StateError, ValueError) as error:
        raise CommandError(f"{file} cannot be used: {error}", "delete it, and sign in again") from error
    return kept if isinstance(kept, dict) else {}
