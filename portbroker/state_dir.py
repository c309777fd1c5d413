"""The directory in which one gateway keeps its own files, and how a private file comes into being.

The one rule: the directory and the files are for this user alone, and a file is there whole or not at all.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from portbroker.errors import PortBrokerError


class StateError(PortBrokerError):
    """The directory cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """What is where; nothing of it needs to be there yet."""

    path: Path

    @property
    def spool(self) -> Path:
        """Usage that is not in the database yet."""
        return self.path / "spool"

    @property
    def history(self) -> Path:
        """The last good revisions of the file."""
        return self.path / "history"

    @property
    def secret_key(self) -> Path:
        """What API keys are hashed and sign-ins are signed with, when SECRET_KEY is not set."""
        return self.path / "secret_key"

    @property
    def secrets(self) -> Path:
        """Secrets that were posted to the admin API."""
        return self.path / "secrets.yaml"

    @property
    def server(self) -> Path:
        """Where the running server is, and what lets this user's commands speak to it."""
        return self.path / "server.json"

    def create(self) -> None:
        """Make the directory, if it is not there; Git does not see it. Raises `StateError`."""
        try:
            for directory in (self.path, self.spool, self.history):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):  # a mounted volume belongs to somebody else
                self.path.chmod(0o700)
            ignored = self.path / ".gitignore"
            if not ignored.exists():
                ignored.write_text("*\n")
        except OSError as error:
            raise StateError(_words(self.path, error)) from error


def state_dir(file: Path, word: str) -> StateDir:
    """The directory that `server.state` names, counted from the configuration file."""
    return StateDir((file.parent / Path(word).expanduser()).resolve())


def write_private(path: Path, data: bytes) -> None:
    """Replace the file as a whole; only this user can read it. Raises `StateError`."""
    with _fresh(path, data) as beside:
        os.replace(beside, path)


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the private file holds; when it is not there, what `make` gives, for all processes the same.

    Raises `StateError`, also for a file that others can read.
    """
    if not path.exists():
        with _fresh(path, make()) as beside, contextlib.suppress(FileExistsError):
            os.link(beside, path)  # unlike a rename, it never replaces what another process was first to write
    return read_private(path)


def read_private(path: Path) -> bytes:
    """What the file holds. Raises `StateError` when it cannot be read, or when others can read it."""
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StateError(f"{path} can be read by others: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise StateError(_words(path, error)) from error


@contextlib.contextmanager
def _fresh(path: Path, data: bytes) -> Iterator[Path]:
    """A private file beside `path` that holds `data`, until the context ends."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield beside
    except OSError as error:
        raise StateError(_words(path, error)) from error
    finally:
        beside.unlink(missing_ok=True)


def _words(path: Path, error: OSError) -> str:
    return f"{path} cannot be used: {error.strerror}; make it writable, or name another place in `server.state`"
