"""The file on disk becomes what is served, again and again: watch -> load -> compile -> one assignment.

The one rule: whatever goes wrong, what is served goes on, and the fault is told. Nothing here touches a call.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from portbroker.compile import compile_snapshot
from portbroker.config.endmark import cut, ended
from portbroker.config.load import Loaded, load
from portbroker.conversation import Json
from portbroker.diff import Change, differences
from portbroker.errors import ConfigError, PortBrokerError, Problem
from portbroker.guard import Calls, Trial
from portbroker.history import History, identity
from portbroker.named import origins
from portbroker.origin import Origin
from portbroker.reload_words import refused_words, returned_words, switched_words
from portbroker.snapshot import Snapshot
from portbroker.status import LastReload, Returned, Status, shown
from portbroker.watch import LOOK_EVERY, changes

log = logging.getLogger("portbroker.reload")

RESTART_ONLY = ("server", "database", "auth", "usage", "limits")
"""Sections that are read at the start."""


class NotServed(PortBrokerError):
    """A configuration is good, and yet cannot be served."""


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration that is not served yet, what it would change, and where its connections go."""

    loaded: Loaded
    snapshot: Snapshot
    changes: Sequence[Change]
    origins: Collection[Origin]

    @property
    def told(self) -> tuple[str, ...]:
        """What it would change, in words."""
        return tuple(change.text for change in self.changes)


class Serving(Protocol):
    """Whoever serves what is found."""

    async def switch(self, found: Found) -> None:
        """Serve it from the next call on. Raises `NotServed`, and then goes on as before."""

    def report(self, status: Status) -> None:
        """Take note of how reloading goes."""

    async def calls(self, revision: str, seconds: float) -> Calls:
        """The calls that were answered by a revision in the last seconds."""


class Reloader:
    """Keeps `serving` at what the file at `path` says, beginning with `loaded`, which is served already."""

    def __init__(
        self, path: Path, loaded: Loaded, snapshot: Snapshot, serving: Serving, history: History | None = None
    ) -> None:
        self.files: Collection[Path] = loaded.files | {path}
        self.status = Status(snapshot.revision, now := time.time(), good_at=now)
        self.path, self._began = path, now
        self._started = loaded
        self._loaded, self._snapshot = loaded, snapshot
        self._ended = ended(loaded)
        self._serving = serving
        self._history = history
        self._trial: Trial[tuple[Loaded, Snapshot]] | None = None
        self._returned_from = self._known_return(loaded)
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._cause = ""
        serving.report(self.status)

    async def told(self) -> Json:
        """What is served, by whom, and how the last reload went."""
        worker = {"process": os.getpid(), "revision": self.status.revision, "started_at": shown(self._began)}
        return {**self.status.told(), "workers": [worker]}

    def _known_return(self, loaded: Loaded) -> str:
        """The identity of what another process has returned from; "" when just that is served, by a new start."""
        known = self._history.returned_from() if self._history else ""
        if known and known == identity(loaded) and self._history:
            log.warning("revision %s was returned from, and is served again after a start", loaded.revision)
            self._history.forget_return()
            return ""
        return known

    async def run(self) -> None:
        """Reload on every change and every `trigger`, until cancelled."""
        # What changed between the first reading and the first look is noticed by nobody else.
        self.trigger("save")
        if self._history:
            await asyncio.to_thread(self._history.keep, self._loaded, "start")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._obey())
            tasks.create_task(self._guard())

    def trigger(self, cause: str) -> None:
        """Reload as soon as may be: at once, or once more after the reload under way."""
        self._cause = cause
        self._wanted.set()

    async def reload(self, cause: str, *, dry: bool = False) -> LastReload:
        """How it went. Of several at once, one begins when the other has ended. `dry`: nothing is served or noted."""
        async with self._lock:
            last = LastReload(0.0, True, cause, revision=self._loaded.revision)
            try:
                if found := await asyncio.to_thread(self._look):
                    last = replace(last, revision=found.loaded.revision, changes=found.told, served=not dry)
                    if not dry:
                        await self._switch(found, cause)
            except (ConfigError, NotServed) as error:
                last = self._refused(error, last, quiet=dry)
            except Exception as error:  # a fault of ours in reading a file must not end what is served
                log.exception("a reload failed inside the gateway; still serving %s", self.status.revision)
                problem = Problem(str(self.path), 0, 0, f"the reload failed: {type(error).__name__}")
                last = replace(last, succeeded=False, problems=(problem,), served=False)
            last = replace(last, at=time.time(), restart=self._restart())
            return last if dry else self._note(last)

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
            loaded = load(self.path)
        except ConfigError as error:
            self.files = {*self.files, *error.files}
            raise
        self.files = loaded.files
        if problems := cut(loaded, self._ended):
            raise ConfigError(problems, revision=loaded.revision)
        self._refuse_again(loaded)
        if (loaded.text, loaded.surroundings) == (self._loaded.text, self._loaded.surroundings):
            return None
        try:
            return self._found(loaded, compile_snapshot(loaded))
        except ConfigError as error:
            error.revision = loaded.revision
            raise

    def _found(self, loaded: Loaded, snapshot: Snapshot) -> Found:
        return Found(loaded, snapshot, differences(self._snapshot, snapshot), origins(snapshot))

    def _refuse_again(self, loaded: Loaded) -> None:
        """Raises for what was returned from; once the file is another, it is forgotten."""
        if not self._returned_from:
            return
        if self._returned_from == identity(loaded):
            why = self.status.returned.why if self.status.returned else "too many calls failed"
            raise ConfigError([_returned(loaded, why)], revision=loaded.revision)
        self._returned_from = ""
        if self._history:
            self._history.forget_return()

    # its end

    async def _switch(self, found: Found, cause: str) -> None:
        before, was = (self._loaded, self._snapshot), self.status.revision
        await self._serving.switch(found)
        self._serve(found, time.time())
        await self._try(before, was, found)
        if self._history:
            at = self.status.loaded_at
            await asyncio.to_thread(self._history.keep, found.loaded, cause, found.told, at)
        log.info("%s", switched_words(was, found.snapshot.revision, found.changes, cause))
        for warning in found.loaded.warnings:
            log.warning("%s", warning)
        if restart := self._restart():
            log.warning("%s: served only after a restart; the rest is served now", ", ".join(restart))

    def _serve(self, found: Found, at: float) -> None:
        """Take note of what is served now."""
        self._loaded, self._snapshot = found.loaded, found.snapshot
        self._ended = self._ended | ended(found.loaded)
        self.status = replace(self.status, revision=found.snapshot.revision, loaded_at=at, returned=None,
                              guarded_until=None)  # fmt: skip

    def _refused(self, error: ConfigError | NotServed, tried: LastReload, *, quiet: bool) -> LastReload:
        problems = error.problems if isinstance(error, ConfigError) else [Problem(str(self.path), 0, 0, str(error))]
        revision = error.revision if isinstance(error, ConfigError) else tried.revision
        last = self.status.last
        if not quiet and (last is None or last.problems != tuple(problems) or tried.cause != "save"):
            log.error("%s", refused_words(problems, self.status.revision))
        return replace(tried, succeeded=False, problems=tuple(problems), revision=revision, served=False)

    def _note(self, last: LastReload) -> LastReload:
        before = self.status.last
        if last.succeeded and before and not before.succeeded and self.status.loaded_at < before.at:
            log.info("the file is again what is served: revision %s", self.status.revision)
            self.status = replace(self.status, returned=None)
        good_at = last.at if last.succeeded else self.status.good_at
        self.status = replace(self.status, last=last, good_at=good_at)
        self._serving.report(self.status)
        return last

    def _restart(self) -> tuple[str, ...]:
        """The fields that are not as they were at the start, and that only a restart can change."""
        old, new = self._started.config, self._loaded.config
        return tuple(
            f"{section}.{name}"
            for section in RESTART_ONLY
            for name in type(getattr(old, section)).model_fields
            if getattr(getattr(old, section), name) != getattr(getattr(new, section), name)
        )

    # the guard

    async def _try(self, before: tuple[Loaded, Snapshot], was: str, found: Found) -> None:
        """Put what is served now on trial, if it asks for that; what is not proved yet is nothing to return to."""
        trial, self._trial = self._trial, None
        if (guard := found.loaded.config.reload.guard) is None:
            return
        if trial is None:
            went = await self._serving.calls(was, guard.window)
        else:
            went = await self._serving.calls(trial.revision, time.monotonic() - trial.began)
            if not trial.passed(went):
                before, went = trial.before, trial.went
        self._trial = Trial(found.snapshot.revision, before, went, guard, time.monotonic())
        self.status = replace(self.status, guarded_until=self.status.loaded_at + guard.window)

    async def _guard(self) -> None:
        while True:
            await asyncio.sleep(_JUDGE_EVERY)
            if (trial := self._trial) is None:
                continue
            try:
                await self._judge(trial)
            except Exception:  # a fault of ours in judging must not end the watching
                log.exception("revision %s could not be judged; it stays", trial.revision)
                self._trial, self.status = None, replace(self.status, guarded_until=None)

    async def _judge(self, trial: Trial[tuple[Loaded, Snapshot]]) -> None:
        calls = await self._serving.calls(trial.revision, time.monotonic() - trial.began)
        async with self._lock:
            if self._trial is not trial:
                return
            if fault := trial.fault(calls):
                await self._return(trial, fault)
            elif time.monotonic() >= trial.ends:
                self._trial = None
                self.status = replace(self.status, guarded_until=None)
                self._serving.report(self.status)
                log.info("revision %s has proved itself: %s failed", trial.revision, calls)

    async def _return(self, trial: Trial[tuple[Loaded, Snapshot]], why: str) -> None:
        """Serve again what was served before the trial, and refuse what was tried until the file changes."""
        bad, back = self._loaded, self._found(*trial.before)
        self._trial = None
        if self._history:  # first: whoever comes after a crash must not serve it again
            await asyncio.to_thread(self._history.keep_return, bad, why)
        try:
            await self._serving.switch(back)
        except NotServed as error:
            log.warning("revision %s should be returned from (%s), and cannot be: %s", bad.revision, why, error)
            return
        self._returned_from = identity(bad)
        self._serve(back, at := time.time())
        returned = Returned(bad.revision, back.loaded.revision, at, why)
        self.status = replace(self.status, returned=returned, returns=self.status.returns + 1)
        log.error("%s", returned_words(returned, back.changes))
        self._note(LastReload(at, False, "guard", (_returned(bad, why),), self._restart(), bad.revision))
        if self._history:
            cause = f"returned from {bad.revision}: {why}"
            await asyncio.to_thread(self._history.keep, back.loaded, cause, back.told, at)


_JUDGE_EVERY = 0.5
"""Seconds between two looks at a revision on trial."""


def _returned(loaded: Loaded, why: str) -> Problem:
    return Problem(loaded.file, 0, 0, f"revision {loaded.revision} was returned from: {why}",
                   hint="change the file to have it served; the same again is refused")  # fmt: skip


@contextlib.asynccontextmanager
async def reloading(reloader: Reloader) -> AsyncIterator[None]:
    """Reloads until the context ends."""
    task = asyncio.create_task(reloader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
