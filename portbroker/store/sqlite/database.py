"""SQLite as a `Database`: a thread that has the connection, and the loop that waits for it.

The one rule: whoever asks waits a few seconds at most, whatever the disk does.
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


class SqliteDatabase:
    """The database in the file at `path`. Of all processes, one at a time has it open."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._connection = Connection(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    async def open(self) -> None:
        await self._run(OPENING, self._connection.open)

    async def close(self) -> None:
        try:
            await self._run(LONGEST, self._connection.close)
        finally:
            self._thread.shutdown(wait=False)

    async def call(self, name: str, arguments: Arguments) -> Any:
        return await self._run(LONGEST, self._connection.call, name, dict(arguments))

    async def changed(self) -> None:
        await asyncio.sleep(POLL)

    async def _run(self, longest: float, act: Callable[..., T], *arguments: Any) -> T:
        try:
            async with asyncio.timeout(longest):
                return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)
        except TimeoutError:
            raise StoreDown(f"{self.place} did not answer within {longest:.0f} s") from None
