"""The file as the admin API changes it: read, changed in its text, proved, written as a whole, and served.

The one rule: nothing is written before it is known to be right; what cannot be written is given as a patch.
"""

import asyncio
import contextlib
import difflib
import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from portbroker.admin.endpoints import Refusal
from portbroker.admin.parts import Configuration
from portbroker.admin.posted_secrets import PostedSecrets
from portbroker.compile import compile_snapshot
from portbroker.config import document, source
from portbroker.config.edits import NotEdited
from portbroker.config.environment import private_name
from portbroker.config.load import Loaded, load, load_text
from portbroker.errors import ConfigError, Problem
from portbroker.restoring import replace_file
from portbroker.snapshot import Snapshot
from portbroker.state_dir import state_dir

_SHOWN = 100
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY)


@dataclass(frozen=True, slots=True)
class Found:
    """The file as it is now: what it says, what that means, and the providers as they are written."""

    loaded: Loaded
    snapshot: Snapshot
    raw: list[Mapping[str, Any]]

    def at(self, name: str) -> int | None:
        """The place of the provider of this name."""
        names = [provider.name for provider in self.loaded.config.providers]
        return names.index(name) if name in names else None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that was proved: another text for one file, with other secrets."""

    path: Path
    before: str
    after: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    """All posted secrets, the new ones among them."""
    proved: Found

    @property
    def patch(self) -> str:
        """What changes, as `git apply` takes it."""
        name = self.path.name
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


class ProviderFile:
    """The file that a configuration comes from; one change at a time, of all processes."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lock = asyncio.Lock()

    async def read(self) -> Found:
        """The file as it is now. Raises `Refusal` (409) when it is not one that can be served."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Found:
        try:
            loaded = load(self._configuration.path)
            return _found(loaded, compile_snapshot(loaded))
        except ConfigError as error:
            message = "the file is wrong as it is now; correct it first"
            raise Refusal(409, "conflict", message, more=_told(error.problems)) from error

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Nobody else changes the file through the admin API until the context ends."""
        async with self._lock:
            state = state_dir(self._configuration.path, (await self.read()).loaded.config.server.state)
            await asyncio.to_thread(state.create)
            lock = await asyncio.to_thread(_taken, state.path / "providers.lock")
            try:
                yield
            finally:
                os.close(lock)

    async def propose(self, found: Found, index: int | None, edit: Callable[[str, int], str],
                      secrets: Mapping[str, str]) -> Proposal:  # fmt: skip
        """What `edit` makes of the text in which this provider stands (None: that to which one is added), proved.

        It gets the place of the provider in this text. Raises `Refusal` (409, 422).
        """
        return await asyncio.to_thread(self._propose, found, index, edit, secrets)

    def _propose(
        self, found: Found, index: int | None, edit: Callable[[str, int], str], secrets: Mapping[str, str]
    ) -> Proposal:
        loaded, main = found.loaded, self._configuration.path
        name = None if index is None or loaded.document is None else loaded.document.file(("providers", index))
        path = Path(name) if name else main
        before = source.text_of(source.read(path))
        try:
            after = edit(before, _place_in(before, found.raw[index]) if index is not None else 0)
        except NotEdited as error:
            raise Refusal(409, "conflict", f"{path.name}: {error}") from error
        posted = self.posted(loaded).with_(secrets)
        instead = {private_name(self.posted(loaded).name): posted.as_yaml()} if secrets else {}
        if path != main:
            instead[path.relative_to(main.parent).as_posix()] = after.encode()
        text = after.encode() if path == main else loaded.text
        try:
            new = load_text(text, file=str(main), directory=main.parent, instead=instead)
            proved = _found(new, compile_snapshot(new))
        except ConfigError as error:
            first = error.problems[0]
            message = f"the file would be wrong: {replace(first, file=Path(first.file).name)}"
            raise Refusal(422, "invalid", message, more=_told(error.problems)) from error
        return Proposal(path, before, after, posted.secrets, proved)

    def posted(self, loaded: Loaded) -> PostedSecrets:
        """The secrets that were posted."""
        return PostedSecrets(self._configuration.path, loaded.config.server.state)

    async def serve(self, proposal: Proposal, found: Found, cause: str) -> None:
        """Write it and serve it. Raises `Refusal`: 409 with the patch where that may not or cannot be, 422 when it is
        not served; then the file is what it was."""
        if found.loaded.config.admin.config_writes == "deny":
            raise _patch("the file belongs to whoever commits it (admin.config_writes: deny)", proposal)
        try:
            await asyncio.to_thread(self._write, proposal, proposal.after, found)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise _patch(f"{proposal.path.name} cannot be written here ({error.strerror})", proposal) from error
        last = await self._configuration.reload(cause)
        if not last.succeeded:
            await asyncio.to_thread(self._write, proposal, proposal.before, found)
            await self._configuration.reload(f"{cause}, taken back")
            raise Refusal(422, "invalid", "the change was taken back: it cannot be served", more=_told(last.problems))

    def _write(self, proposal: Proposal, text: str, found: Found) -> None:
        # A file that nobody may write is meant not to be, also where the superuser could.
        if os.access(proposal.path, os.W_OK) and proposal.path.stat().st_mode & 0o222:
            self.posted(found.loaded).with_(proposal.secrets).write()
            replace_file(proposal.path, text.encode())
        else:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _found(loaded: Loaded, snapshot: Snapshot) -> Found:
    data = loaded.document.data if loaded.document else {}
    return Found(loaded, snapshot, list(data.get("providers") or []))


def _place_in(text: str, raw: Mapping[str, Any]) -> int:
    """The place of a provider in the text of its file."""
    names = [item.get("name") for item in document.parse(text).data["providers"]]
    return names.index(raw["name"])


def _taken(path: Path) -> int:
    """An open file that holds the lock, once nobody else does."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _patch(why: str, proposal: Proposal) -> Refusal:
    return Refusal(409, "conflict", f"{why}: commit the patch instead", more={"patch": proposal.patch})


def _told(problems: Sequence[Problem]) -> dict[str, Any]:
    return {"problems": [problem.plain() for problem in problems[:_SHOWN]]}
