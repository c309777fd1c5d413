"""Writes a revision back to where it came from: the file, and those that it includes.

The one rule: each file is replaced whole or not at all, the first file last, and what is replaced is kept.
"""

import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from portbroker.config.environment import NAMES, Environment
from portbroker.history import Entry, History

MOST_REPLACED = 20
"""Rollbacks whose replaced files are kept."""


def restore(entry: Entry, file: Path, history: History) -> Path | None:
    """Make the files what they were; the directory that keeps what was replaced, None when all were so already.

    Raises OSError; what was written by then stays.
    """
    wanted = {file: entry.text} | {
        file.parent / name: data for name, data in entry.parts.items() if not name.endswith(NAMES)
    }
    surplus = [path for path in _matched(entry, file) if path not in wanted]
    changed = {path: data for path, data in wanted.items() if _content(path) != data}
    if not changed and not surplus:
        return None
    kept = _keep([*changed, *surplus], file.parent, history)
    for path in surplus:
        path.unlink()
    for path, data in sorted(changed.items(), key=lambda pair: pair[0] == file):  # the one that names the others last
        replace_file(path, data)
    return kept


def _matched(entry: Entry, file: Path) -> Iterator[Path]:
    """The files that the patterns of a revision match today."""
    environment = Environment(file.parent, {})
    for name in entry.parts:
        if name.endswith(NAMES):
            for found in environment.names(name.removesuffix(NAMES)):
                yield file.parent / found


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keep(paths: list[Path], directory: Path, history: History) -> Path:
    """Copy the files to where the replaced ones are."""
    place = history.directory / "replaced"
    kept = place / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    kept.mkdir(mode=0o700, parents=True)
    for path in paths:
        if path.exists():
            copy = kept / path.relative_to(directory)
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
    for oldest in sorted(place.iterdir())[:-MOST_REPLACED]:
        shutil.rmtree(oldest)
    return kept


def replace_file(path: Path, data: bytes) -> None:
    """Replace what a path leads to as a whole, with its mode; a link stays one. Raises OSError."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        # For nobody else until it has the mode of what it replaces: that may hold a secret.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(descriptor)
        beside.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
