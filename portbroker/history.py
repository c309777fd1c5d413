"""The last good revisions of a file: what was served, since when, and what set it off, kept in the state directory.

What is kept is the text of the file and of those that it includes, so secrets are the references that they are there.
The one rule: an entry is there whole or not at all, and nothing that goes wrong here keeps anything from being served.
"""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portbroker.config.load import Loaded
from portbroker.errors import PortBrokerError
from portbroker.state_dir import StateDir, StateError, state_dir, write_private

log = logging.getLogger("portbroker.history")

MOST = 50
"""Entries that are kept."""
MOST_BYTES = 64 * 1024 * 1024
_SHORTEST = 4
"""Letters by which a revision may be named."""


class UnknownRevision(PortBrokerError):
    """No entry, or more than one, has this name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A revision that was served from `at` on (Unix seconds). `parts` are the included files, and what globs matched.

    `changes` are what it changed for callers.
    """

    revision: str
    at: float
    cause: str
    text: bytes = field(repr=False)
    parts: Mapping[str, bytes] = field(repr=False)
    changes: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """What orders entries: microseconds."""
        return int(self.at * 1_000_000)

    def as_json(self) -> bytes:
        parts = {name: data.decode() for name, data in self.parts.items()}
        return json.dumps(
            {"revision": self.revision, "at": self.at, "cause": self.cause, "changes": self.changes,
             "text": self.text.decode(), "parts": parts}, indent=1,
        ).encode()  # fmt: skip

    @classmethod
    def of(cls, data: bytes) -> "Entry":
        """Raises ValueError, KeyError, TypeError or AttributeError for what is no entry."""
        said = json.loads(data)
        parts = {str(name): text.encode() for name, text in said["parts"].items()}
        changes = tuple(map(str, said["changes"]))
        return cls(
            str(said["revision"]), float(said["at"]), str(said["cause"]), said["text"].encode(), parts, changes
        )  # fmt: skip


class History:
    """The entries of one state directory."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._warned = False

    @property
    def directory(self) -> Path:
        return self._state.history

    def keep(self, loaded: Loaded, cause: str, changes: Collection[str] = (), at: float | None = None) -> None:
        """Take note of what is served from now on, unless that is what the last entry says. Never raises."""
        try:
            files = self._files()
            if files and files[-1].stem.endswith(f"-{loaded.revision}"):
                return
            entry = Entry(loaded.revision, time.time() if at is None else at, cause, loaded.text, loaded.parts(),
                          tuple(changes))  # fmt: skip
            self._state.create()
            write_private(self.directory / f"{entry.number:020d}-{entry.revision}.json", entry.as_json())
            self._trim()
        except (StateError, OSError) as error:
            if not self._warned:
                log.warning("the history is not kept: %s", error)
            self._warned = True

    def keep_return(self, bad: Loaded, why: str) -> None:
        """Take note of what is returned from, so that nobody serves it again after a crash. Never raises."""
        try:
            self._state.create()
            write_private(self._returned, json.dumps({"identity": identity(bad), "why": why}).encode())
        except StateError as error:
            log.warning("what was returned from is not kept: %s", error)

    def returned_from(self) -> str:
        """The identity of what was returned from last, "" for nothing."""
        try:
            return str(json.loads(self._returned.read_bytes())["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def forget_return(self) -> None:
        """The file is another now."""
        with contextlib.suppress(OSError):
            self._returned.unlink(missing_ok=True)

    @property
    def _returned(self) -> Path:
        return self.directory / "returned.json"

    def entries(self) -> list[Entry]:
        """Those that can be read, the newest first."""
        found: list[Entry] = []
        for path in reversed(self._files()):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                found.append(Entry.of(path.read_bytes()))
        return found

    def find(self, name: str) -> Entry:
        """The newest entry of the revision that begins so. Raises `UnknownRevision`."""
        entries = self.entries()
        matching = [entry for entry in entries if len(name) >= _SHORTEST and entry.revision.startswith(name.lower())]
        if not matching:
            known = ", ".join(_unique(entry.revision for entry in entries)[:8]) or "none yet"
            raise UnknownRevision(f"the history has no revision {name!r}; it has: {known}")
        if len(revisions := _unique(entry.revision for entry in matching)) > 1:
            raise UnknownRevision(f"{name!r} may be {' or '.join(revisions)}: write more of it")
        return matching[0]

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("[0-9]*-*.json"))

    def _trim(self) -> None:
        """Forget the oldest, but never the last two."""
        files = self._files()
        size = sum(path.stat().st_size for path in files)
        while len(files) > 2 and (len(files) > MOST or size > MOST_BYTES):
            oldest = files.pop(0)
            size -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)


def history_of(file: Path, loaded: Loaded) -> History:
    """The history of a file that is served."""
    return History(state_dir(file, loaded.config.server.state))


def identity(loaded: Loaded) -> str:
    """What tells a configuration from others that were tried: its files, and the values of its secrets."""
    digest = hashlib.sha256(loaded.revision.encode())
    for name, data in sorted(loaded.surroundings.files.items()):
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(data or b"").digest())
    return digest.hexdigest()


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
