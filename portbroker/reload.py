"""The file on disk becomes what is served, again and again: watch -> load -> compile -> one assignment.

The one rule: whatever goes wrong, what is served goes on, and the fault is told. Nothing here touches a call.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portbroker.compile import compile_snapshot
from portbroker.config.endmark import cut, ended
from portbroker.config.load import Loaded, load
from portbroker.diff import Change, differences
from portbroker.errors import ConfigError, PortBrokerError, Problem
from portbroker.history import History
from portbroker.named import origins
from portbroker.origin import Origin
from portbroker.reload_words import refused_words, switched_words
from portbroker.snapshot import Snapshot
from portbroker.status import LastReload, Status
from portbroker.watch import LOOK_EVERY, changes

log = logging.getLogger("portbroker.reload")

_AT_START = ("server", "database", "auth", "usage", "limits")
"""The sections that are read at start."""


class NotServed(PortBrokerError):
    """A configuration is good, and yet cannot be served."""


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration that is not served yet, what it would change, and where its connections go."""

    loaded: Loaded
    snapshot: Snapshot
    changes: Sequence[Change]
    origins: Collection[Origin]


class Serving(Protocol):
    """Whoever serves what is found."""

    async def switch(self, found: Found) -> None:
        """Serve it from the next call on. Raises `NotServed`, and then goes on as before."""

    def report(self, status: Status) -> None:
        """Take note of how reloading goes."""


class Reloader:
    """Keeps `serving` at what the file at `path` says, beginning with `loaded`, which is served already."""

    def __init__(
        self, path: Path, loaded: Loaded, snapshot: Snapshot, serving: Serving, history: History | None = None
    ) -> None:
        self.files: Collection[Path] = loaded.files | {path}
        self.status = Status(snapshot.revision, time.time())
        self._path = path
        self._started = loaded
        self._loaded, self._snapshot = loaded, snapshot
        self._ended = ended(loaded)
        self._serving = serving
        self._history = history
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._cause = ""
        serving.report(self.status)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    async def run(self) -> None:
        """Reload on every change and every `trigger`, until cancelled."""
        # What changed between the first reading and the first look is noticed by nobody else.
        self.trigger("save")
        if self._history:
            await asyncio.to_thread(self._history.keep, self._loaded, "start")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._obey())

    def trigger(self, cause: str) -> None:
        """Reload as soon as may be: at once, or once more after the reload under way."""
        self._cause = cause
        self._wanted.set()

    async def reload(self, cause: str) -> LastReload:
        """How it went. Of several at once, one begins when the other has ended."""
        async with self._lock:
            problems: Sequence[Problem] = ()
            try:
                if found := await asyncio.to_thread(self._look):
                    await self._switch(found, cause)
            except (ConfigError, NotServed) as error:
                problems = self._refused(error, cause)
            except Exception as error:  # a fault of ours in reading a file must not end what is served
                log.exception("a reload failed inside the gateway; still serving %s", self.status.revision)
                problems = [Problem(str(self._path), 0, 0, f"the reload failed: {type(error).__name__}")]
            return self._note(LastReload(time.time(), not problems, cause, tuple(problems), self._restart()))

    # triggers

    async def _watch(self) -> None:
        while True:
            try:
                async for _ in changes(lambda: self.files):
                    self.trigger("save")
            except Exception:  # a fault of ours in watching must not end the watching
                log.exception("watching the file failed; beginning anew")
                await asyncio.sleep(LOOK_EVERY)

    async def _obey(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.reload(self._cause)

    # in a thread: reading and compiling may take a second, and streams must not wait for it

    def _look(self) -> Found | None:
        """What is to be served instead; None when it is served already. Raises `ConfigError`."""
        try:
            loaded = load(self._path)
        except ConfigError as error:
            self.files = {*self.files, *error.files}
            raise
        self.files = loaded.files
        if problems := cut(loaded, self._ended):
            raise ConfigError(problems)
        if (loaded.text, loaded.surroundings) == (self._loaded.text, self._loaded.surroundings):
            return None
        snapshot = compile_snapshot(loaded)
        return Found(loaded, snapshot, differences(self._snapshot, snapshot), origins(snapshot))

    # its end

    async def _switch(self, found: Found, cause: str) -> None:
        await self._serving.switch(found)
        before, self._loaded, self._snapshot = self.status.revision, found.loaded, found.snapshot
        self._ended = self._ended | ended(found.loaded)
        self.status = Status(found.snapshot.revision, time.time(), self.status.last)
        if self._history:
            told = [change.text for change in found.changes]
            await asyncio.to_thread(self._history.keep, found.loaded, cause, told, self.status.loaded_at)
        log.info("%s", switched_words(before, found.snapshot.revision, found.changes, cause))
        for warning in found.loaded.warnings:
            log.warning("%s", warning)
        if restart := self._restart():
            log.warning("%s: served only after a restart; the rest is served now", ", ".join(restart))

    def _refused(self, error: ConfigError | NotServed, cause: str) -> Sequence[Problem]:
        problems = error.problems if isinstance(error, ConfigError) else [Problem(str(self._path), 0, 0, str(error))]
        last = self.status.last
        if last is None or last.problems != tuple(problems) or cause != "save":
            log.error("%s", refused_words(problems, self.status.revision))
        return problems

    def _note(self, last: LastReload) -> LastReload:
        before = self.status.last
        if last.succeeded and before and not before.succeeded and self.status.loaded_at < before.at:
            log.info("the file is again what is served: revision %s", self.status.revision)
        self.status = Status(self.status.revision, self.status.loaded_at, last)
        self._serving.report(self.status)
        return last

    def _restart(self) -> tuple[str, ...]:
        """The fields that are not as they were at the start, and that only a restart can change."""
        old, new = self._started.config, self._loaded.config
        return tuple(
            f"{section}.{name}"
            for section in _AT_START
            for name in type(getattr(old, section)).model_fields
            if getattr(getattr(old, section), name) != getattr(getattr(new, section), name)
        )


@contextlib.asynccontextmanager
async def reloading(reloader: Reloader) -> AsyncIterator[None]:
    """Reloads until the context ends."""
    task = asyncio.create_task(reloader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
