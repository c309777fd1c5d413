"""The database as each process sees it: its own, or that of the process which keeps it; which one, may change.

The one rule: a call that nobody can have carried out yet goes on to the next keeper; of others the caller is told.
"""

import asyncio
from pathlib import Path
from typing import Any, TypeAlias

from portbroker.errors import StoreDown
from portbroker.store.database import IDEMPOTENT, Arguments
from portbroker.store.keeper.asking import Asking, Gone
from portbroker.store.keeper.keeping import Keeping
from portbroker.store.keeper.lock import Lock
from portbroker.store.keeper.news import News
from portbroker.store.sqlite.database import LONGEST, OPENING, SqliteDatabase

Side: TypeAlias = Keeping | Asking
_LOOK_AGAIN = 0.02
"""Seconds between two attempts to take over or to reach the one who has."""


class KeptDatabase:
    """The database in the file at `path`, for as many processes of this user as like to."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self._lock = Lock(path)
        self._news = News()
        self._joining = asyncio.Lock()
        self._side: Side | None = None
        self._closed = True

    async def open(self) -> None:
        self._closed = False
        await self._within(OPENING, self._joined())

    async def close(self) -> None:
        side, self._side, self._closed = self._side, None, True
        if side is not None:
            try:
                await side.stop()
            finally:
                self._lock.release()

    async def call(self, name: str, arguments: Arguments) -> Any:
        return await self._within(LONGEST + 1, self._call(name, arguments))

    async def changed(self) -> None:
        await self._news.wait()

    async def _call(self, name: str, arguments: Arguments) -> Any:
        while True:
            side = await self._joined()
            try:
                return await side.call(name, arguments)
            except Gone as gone:
                if self._side is side:
                    self._side = None
                if gone.sent and name not in IDEMPOTENT:
                    raise StoreDown(f"{self.place}: its keeper ended just now; look what was done") from None

    async def _joined(self) -> Side:
        """This process's side, on which it has the file or reaches who has."""
        async with self._joining:
            while self._side is None:
                if self._closed:
                    raise StoreDown(f"{self.place} is not open")
                self._side = await self._join()
                if self._side is None:
                    await asyncio.sleep(_LOOK_AGAIN)
            return self._side

    async def _join(self) -> Side | None:
        """Keep the file if nobody does, else reach who does; None when neither can be done yet."""
        if self._lock.take():
            return await self._keep()
        if path := self._lock.where():
            asking = Asking(path, self._news)
            try:
                await asking.start()
            except OSError:
                return None  # whoever wrote that has gone
            return asking
        return None

    async def _keep(self) -> Side:
        database = SqliteDatabase(self._path)
        try:
            await database.open()
            keeping = Keeping(database, self._lock.listen(), self._news)
            await keeping.start()
        except BaseException as error:
            await database.close()
            self._lock.release()
            if isinstance(error, OSError):
                raise StoreDown(f"{self.place} cannot be kept here: {error.strerror}") from error
            raise
        return keeping

    async def _within(self, seconds: float, work: Any) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise StoreDown(f"{self.place} did not answer within {seconds:.0f} s") from None
