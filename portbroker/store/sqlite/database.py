"""SQLite as a `Database`: a thread that writes, one that reads what may take long, and the loop that waits for them.

The one rule: whoever asks waits a few seconds at most, whatever the disk does; what takes longer is broken off.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from portbroker.errors import StoreDown
from portbroker.store.database import POLL, Arguments
from portbroker.store.sqlite.connection import Connection

T = TypeVar("T")

LONGEST = 5.0
"""Seconds that an operation may take, with those before it."""
OPENING = 60.0
"""Seconds that opening may take: after a crash the log is played back, and steps may rewrite tables."""
_LONG = frozenset({"usage", "events", "keys", "audit"})
"""Operations that read much: no call that is served may have to wait behind one."""


class SqliteDatabase:
    """The database in the file at `path`. Of all processes, one at a time has it open."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._writing = _Worker(path, "sqlite")
        self._reading = _Worker(path, "sqlite-reading")

    async def open(self) -> None:
        await self._writing.run(OPENING, self._writing.connection.open)
        await self._reading.run(OPENING, self._reading.connection.open)

    async def close(self) -> None:
        try:
            await self._reading.close()
        finally:
            await self._writing.close()

    async def call(self, name: str, arguments: Arguments) -> Any:
        worker = self._reading if name in _LONG else self._writing
        return await worker.run(LONGEST, worker.connection.call, name, dict(arguments))

    async def changed(self) -> None:
        await asyncio.sleep(POLL)


class _Worker:
    """A thread with a connection of its own."""

    def __init__(self, path: Path, name: str) -> None:
        self.connection = Connection(path)
        self._place = str(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, longest: float, act: Callable[..., T], *arguments: Any) -> T:
        """What it gives. Raises `StoreDown` when that takes longer than so many seconds."""
        running = self._thread.submit(act, *arguments)
        try:
            async with asyncio.timeout(longest):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            if running.running():
                self.connection.break_off()
            raise StoreDown(f"{self._place} did not answer within {longest:.0f} s") from None

    async def close(self) -> None:
        """Let go of the file, and end the thread."""
        try:
            await self.run(LONGEST, self.connection.close)
        finally:
            self._thread.shutdown(wait=False)
