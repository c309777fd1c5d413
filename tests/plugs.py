"""A real database with a plug that a test can pull: what is asked of it then fails as when its server is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from portbroker.errors import StoreDown
from portbroker.keys import Pepper, issue
from portbroker.store.called import CalledStore
from portbroker.store.database import Arguments
from portbroker.store.records import ApiKey, AuditEntry
from portbroker.store.sqlite import SqliteDatabase

PEPPER = Pepper(b"a secret of thirty-two bytes or more")


class Plugged(SqliteDatabase):
    """SQLite behind a plug. `asked` counts what was asked for, by name; what is in `slow` never comes back."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.pulled = False
        self.slow: set[str] = set()
        self.asked: dict[str, int] = {}

    async def call(self, name: str, arguments: Arguments) -> Any:
        self.asked[name] = self.asked.get(name, 0) + 1
        if name in self.slow:
            await asyncio.Event().wait()
        if self.pulled:
            raise StoreDown("the plug was pulled")
        return await super().call(name, arguments)

    async def changed(self) -> None:
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def plugged(directory: Path) -> AsyncIterator[tuple[CalledStore, Plugged]]:
    """A store, and its plug."""
    plug = Plugged(directory / "portbroker.db")
    store = CalledStore(plug)
    await store.open()
    try:
        yield store, plug
    finally:
        await store.close()


async def new_key(store: CalledStore, name: str = "team", **fields: Any) -> tuple[ApiKey, str]:
    """A key that the store knows, and its secret."""
    key, secret = issue(PEPPER, name, 1, **fields)
    await store.insert_key(key, note())
    return key, secret


def note() -> AuditEntry:
    """Somebody changed something."""
    from portbroker.store.ids import uuid7

    return AuditEntry(uuid7(1), 1, "test", "changed", "key")


async def until(holds: Any, seconds: float = 10.0) -> None:
    """Returns when it holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)
