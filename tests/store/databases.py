"""The databases that the contract runs on: each opens stores on one new database, with nothing in it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from portbroker.store import Store
from portbroker.store.called import CalledStore
from portbroker.store.database import Database
from portbroker.store.postgresql import PostgresqlDatabase
from portbroker.store.sqlite import SqliteDatabase
from tests.postgresql import Cluster

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens one more store on the same database."""


@contextlib.asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Store]:
    """A store on this database, until the context ends."""
    store = CalledStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def on_sqlite(directory: Path, _: Callable[[], Cluster]) -> AsyncIterator[Opening]:
    yield lambda: opened(SqliteDatabase(directory / "portbroker.db"))


@contextlib.asynccontextmanager
async def on_postgresql(_: Path, cluster: Callable[[], Cluster]) -> AsyncIterator[Opening]:
    async with cluster().database() as url:
        yield lambda: opened(PostgresqlDatabase(url))


DATABASES = {"sqlite": on_sqlite, "postgresql": on_postgresql}
