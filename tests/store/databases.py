"""The three databases that the contract runs on: each opens a `Store` of its own, with nothing in it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from portbroker.store import Store
from portbroker.store.called import CalledStore
from portbroker.store.sqlite import SqliteDatabase

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens one more store on the same database."""


def on_sqlite(path: Path) -> Opening:
    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[Store]:
        store = CalledStore(SqliteDatabase(path / "portbroker.db"))
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return opening
