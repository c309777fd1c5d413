"""PostgreSQL as a `Database`: each operation is one call of a function, which is a transaction of its own.

The one rule: whoever asks waits a few seconds at most, whether the server is down, slow or silent.
"""

import asyncio
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from portbroker.errors import StoreDown, StoreError
from portbroker.store.database import IDEMPOTENT, Arguments
from portbroker.store.migrations import outstanding
from portbroker.store.postgresql.address import driver_url, shown
from portbroker.store.postgresql.faults import FAULTS, collided, fault, lost
from portbroker.store.postgresql.news import News

CONNECTING = 3.0
"""Seconds that a connection may take to come about."""
LONGEST = 5.0
"""Seconds that an operation may take, all told."""
_OPENING = 60.0
"""Seconds that opening may take: another replica may be changing the tables."""
CONNECTIONS = 8
"""Connections of one process, beside the one that listens."""
_TRIES = 4

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('portbroker.migrations', 0))"
_IS_THERE = "SELECT to_regclass('portbroker.facts') IS NOT NULL"
_VERSION = "SELECT value::int FROM portbroker.facts WHERE name = 'version'"


class PostgresqlDatabase:
    """The schema `portbroker` in the database at `url`, shared by as many gateways as like to."""

    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.place = shown(url)
        self._url = driver_url(url)
        self._engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=self._connect, isolation_level="AUTOCOMMIT",
            pool_size=CONNECTIONS, max_overflow=0, pool_timeout=LONGEST,
        )  # fmt: skip
        self._news = News(self._connect, self._engine.dispose)

    async def open(self) -> None:
        try:
            async with asyncio.timeout(_OPENING):
                await self._bring_up_to_date()
        except FAULTS as error:
            raise fault(error, self.place) from error

    async def close(self) -> None:
        await self._news.stop()
        await self._engine.dispose()

    async def call(self, name: str, arguments: Arguments) -> Any:
        try:
            async with asyncio.timeout(LONGEST):
                return await self._call(name, orjson.dumps(arguments).decode())
        except TimeoutError:
            raise StoreDown(f"{self.place} did not answer within {LONGEST:.0f} s") from None
        except FAULTS as error:
            raise fault(error, self.place) from error

    async def changed(self) -> None:
        await self._news.wait()

    async def _call(self, name: str, arguments: str) -> Any:
        for _ in range(_TRIES):
            try:
                return await self._execute(name, arguments)
            except FAULTS as error:
                if not collided(error) and not (lost(error) and name in IDEMPOTENT):
                    raise
        return await self._execute(name, arguments)

    async def _execute(self, name: str, arguments: str) -> Any:
        # `name` is one of ours; what comes from outside is in the arguments, which are bound.
        statement = text(f"SELECT portbroker.{name}(CAST(CAST(:arguments AS text) AS jsonb))::text")
        async with self._engine.connect() as connection:
            answer = await connection.scalar(statement, {"arguments": arguments})
        return None if answer is None else orjson.loads(answer)

    async def _connect(self) -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(
            self._url, timeout=CONNECTING, command_timeout=_OPENING, server_settings={"application_name": "portbroker"}
        )

    async def _bring_up_to_date(self) -> None:
        connection = await self._connect()
        try:
            if not outstanding("postgresql", await _version(connection), self.place):
                return
            async with connection.transaction():
                await connection.execute(_LOCK)
                for step in outstanding("postgresql", await _version(connection), self.place):
                    await connection.execute(step.sql)
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreError(
                f"{self.place}: this user may not make the tables: GRANT CREATE ON DATABASE … TO …, for the first start"
            ) from error
        finally:
            await connection.close()


async def _version(connection: "asyncpg.Connection[Any]") -> int:
    """The version of the tables, 0 when there are none."""
    return int(await connection.fetchval(_VERSION)) if await connection.fetchval(_IS_THERE) else 0
