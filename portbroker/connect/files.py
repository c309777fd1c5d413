"""Settings files on disk.

The one rule: a file is replaced whole or not at all, and keeps its mode; a link stays a link.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

from portbroker.errors import PortBrokerError

_OWN: Final = 0o600
"""The mode of new files: they may hold a key."""


class SettingsError(PortBrokerError):
    """A file cannot be read, understood or written; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read(file: Path) -> str | None:
    """What stands in a file; None when there is none."""
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: byte {error.start} is not UTF-8", "save it as UTF-8, and try again") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error


def write(file: Path, text: str) -> None:
    """Put a text in the place of what is there."""
    target = file.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o7777 if target.exists() else _OWN
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(13, "it is read-only")  # a rename would not ask
        _replace(target, text.encode(), mode)
    except OSError as error:
        hint = "--print shows what would be written, to do it by hand"
        raise SettingsError(f"{file} cannot be written: {error.strerror}", hint) from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(data)
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def remove(file: Path) -> None:
    """Take a file away that was not there before."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"{file} cannot be removed: {error.strerror}") from error
