"""The databases that the contract runs on: each opens stores on one new database, with nothing in it."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import httpx
from supabase import AsyncClientOptions, acreate_client

from portbroker.store import Store
from portbroker.store.called import CalledStore
from portbroker.store.database import Database
from portbroker.store.keeper import KeptDatabase
from portbroker.store.migrations import migrations
from portbroker.store.postgresql import PostgresqlDatabase
from portbroker.store.sqlite import SqliteDatabase
from portbroker.store.supabase import SupabaseDatabase
from tests.postgresql import Cluster, run
from tests.store.postgrest import ROLES, key_of, project

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
async def on_kept_sqlite(directory: Path, _: Callable[[], Cluster]) -> AsyncIterator[Opening]:
    """The first store keeps the file, the others ask it."""
    yield lambda: opened(KeptDatabase(directory / "portbroker.db"))


@contextlib.asynccontextmanager
async def on_postgresql(_: Path, cluster: Callable[[], Cluster]) -> AsyncIterator[Opening]:
    url = await cluster().made("portbroker", *MIGRATION)
    await run(url, TRUNCATE)
    yield lambda: opened(PostgresqlDatabase(url))


@contextlib.asynccontextmanager
async def on_supabase(_: Path, cluster: Callable[[], Cluster]) -> AsyncIterator[Opening]:
    """A project of our own; or the real one that PORTBROKER_TEST_SUPABASE_URL and _KEY name, which is emptied."""
    async with _project(cluster) as (url, key):
        yield lambda: opened(SupabaseDatabase(url, key))


@contextlib.asynccontextmanager
async def _project(cluster: Callable[[], Cluster]) -> AsyncIterator[tuple[str, str]]:
    """URL and key of a project in which the shipped file was run, and which was emptied."""
    if url := os.environ.get("PORTBROKER_TEST_SUPABASE_URL"):
        key = os.environ["PORTBROKER_TEST_SUPABASE_KEY"]
        await empty(url, key)
        yield url, key
        return
    database = await cluster().made("supabase", ROLES, *MIGRATION)
    await run(database, TRUNCATE)
    async with project(database) as running:
        yield running.url, key_of("service_role")


async def empty(url: str, key: str) -> None:
    """Delete all that was recorded in a project, as its owner would have to."""
    async with httpx.AsyncClient() as http:
        options = AsyncClientOptions(schema="portbroker", httpx_client=http, auto_refresh_token=False)
        client = await acreate_client(url, key, options)
        for table, column in TABLES.items():
            await client.table(table).delete().neq(column, "no such value").execute()


MIGRATION = [step.sql for step in migrations("postgresql")]
TABLES = {"keys": "id", "events": "id", "totals": "day", "budgets": "key_id", "reservations": "id", "windows": "bucket",
          "audit": "id"}  # fmt: skip
"""What holds what was recorded, each with a column of text."""
TRUNCATE = f"TRUNCATE {', '.join(f'portbroker.{table}' for table in TABLES)}"

DATABASES = {"sqlite": on_sqlite, "kept sqlite": on_kept_sqlite, "postgresql": on_postgresql, "supabase": on_supabase}
