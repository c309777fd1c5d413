"""What is special about PostgreSQL: the server, and what can happen to it."""

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from portbroker.store import Store, StoreDown, StoreError
from portbroker.store.called import CalledStore
from portbroker.store.postgresql import PostgresqlDatabase
from portbroker.store.postgresql.address import driver_url, shown
from portbroker.store.records import Reservation, UsageFilter
from tests.postgresql import Cluster, Server, of_user, run, until_up
from tests.store.databases import opened
from tests.store.samples import NOON, api_key, entry, event


@pytest.fixture
async def database(postgresql: Cluster) -> AsyncIterator[str]:
    """The URL of a database with nothing in it, not even tables."""
    async with postgresql.database() as url:
        yield url


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="portbroker-pg-") as directory:
        made = Server(Path(directory))
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()


async def test_the_tables_are_made_once_by_those_who_start_at_once(database: str) -> None:
    stores = [CalledStore(PostgresqlDatabase(database)) for _ in range(6)]
    await asyncio.gather(*(store.open() for store in stores))
    await stores[0].insert_key(api_key(), entry())
    assert [len(await store.keys()) for store in stores] == [1] * 6
    for store in stores:
        await store.close()


async def test_a_database_of_a_newer_version_is_left_alone(database: str) -> None:
    async with opened(PostgresqlDatabase(database)):
        pass
    await run(database, "UPDATE portbroker.facts SET value = '99' WHERE name = 'version'")
    with pytest.raises(StoreError, match="newer PortBroker"):
        async with opened(PostgresqlDatabase(database)):
            pass


async def test_a_user_who_may_not_make_tables_is_told_what_it_takes(postgresql: Cluster, database: str) -> None:
    await run(database, "DROP ROLE IF EXISTS portbroker_poor", "CREATE ROLE portbroker_poor LOGIN PASSWORD 'hush-hush'")
    poor = of_user(database, "portbroker_poor:hush-hush")
    try:
        with pytest.raises(StoreError, match="GRANT CREATE ON DATABASE") as told:
            async with opened(PostgresqlDatabase(poor)):
                pass
        assert "hush" not in str(told.value)
        name = database.rpartition("/")[2]
        await run(database, f'GRANT CREATE ON DATABASE "{name}" TO portbroker_poor')
        async with opened(PostgresqlDatabase(poor)) as store:
            assert await store.record([event(period="2026-11")]) == 1
    finally:
        await run(database, "DROP OWNED BY portbroker_poor", "DROP ROLE portbroker_poor")


@pytest.mark.parametrize("role", ["anon", "authenticated", "stranger"])
async def test_other_users_of_the_database_see_nothing(database: str, role: str) -> None:
    await run(database, f"DROP ROLE IF EXISTS portbroker_{role}", f"CREATE ROLE portbroker_{role}")
    async with opened(PostgresqlDatabase(database)) as store:
        await store.insert_key(api_key(), entry())
        other = await asyncpg.connect(database)
        await other.execute(f"SET ROLE portbroker_{role}")
        for statement in ("SELECT * FROM portbroker.keys", "SELECT portbroker.keys('{}')", "TABLE portbroker.facts"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await other.execute(statement)
        await other.close()
    await run(database, f"DROP ROLE portbroker_{role}")


async def test_functions_run_with_the_rights_of_who_calls_and_trust_no_search_path(database: str) -> None:
    async with opened(PostgresqlDatabase(database)):
        connection = await asyncpg.connect(database)
        rows = await connection.fetch(
            "SELECT proname, prosecdef, proconfig FROM pg_proc WHERE pronamespace = 'portbroker'::regnamespace"
        )
        bare = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'portbroker'::regnamespace AND relkind = 'r'"
            " AND NOT relrowsecurity"
        )
        await connection.close()
    assert len(rows) > 20
    assert {(row["prosecdef"], *row["proconfig"]) for row in rows} == {(False, 'search_path=""')}
    assert bare == []


@pytest.mark.parametrize("off", [
    ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize", "indexscan", "bitmapscan"),
    ("nestloop",), ("seqscan",),
])  # fmt: skip
async def test_however_it_is_planned_a_step_of_forgetting_is_no_larger_than_asked(
    database: str, off: tuple[str, ...]
) -> None:
    name = database.rpartition("/")[2]
    await run(database, *(f'ALTER DATABASE "{name}" SET enable_{plan} = off' for plan in off))
    async with opened(PostgresqlDatabase(database)) as store:
        await store.record([event(at=NOON + number, period="2026-11") for number in range(10)])
        assert [await store.forget(NOON + 8, 5) for _ in range(3)] == [5, 3, 0]
        for number in range(4):
            await store.reserve(Reservation(f"id-{number}", "key_1", "2026-11", 1, 10**12, NOON + number))
        assert await store.sweep(NOON + 1) == 2
        assert (await store.spending("key_1", "2026-11")).reserved_nano == 2


async def test_a_change_is_told_and_not_only_found(database: str) -> None:
    async with opened(PostgresqlDatabase(database)) as here, opened(PostgresqlDatabase(database)) as there:
        versions = there.watch()
        version = await anext(versions)
        wait = asyncio.ensure_future(anext(versions))
        connection = await asyncpg.connect(database)
        async with asyncio.timeout(5):
            while not await connection.fetchval("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"):
                await asyncio.sleep(0.01)
        await connection.close()
        took = []
        for _ in range(5):
            begun = time.monotonic()
            await here.insert_key(api_key(), entry())
            assert await wait > version
            took.append(time.monotonic() - begun)
            wait = asyncio.ensure_future(anext(versions))
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        assert min(took) < 0.3  # who only looks each second finds such a thing after half of one
        assert max(took) < 2


async def test_a_server_that_is_not_there_is_down_within_seconds_and_its_password_is_not_told() -> None:
    store = CalledStore(PostgresqlDatabase("postgresql://root:hush-hush@127.0.0.1:1/x"))
    begun = time.monotonic()
    with pytest.raises(StoreDown, match=r"postgresql://127\.0\.0\.1:1/x cannot be reached") as told:
        await store.open()
    with pytest.raises(StoreDown):
        await store.record([event()])
    assert time.monotonic() - begun < 5
    assert "hush" not in str(told.value)
    await store.close()


async def test_a_database_that_does_not_exist_is_named(postgresql: Cluster) -> None:
    url = postgresql.url.rpartition("/")[0] + "/nowhere"
    with pytest.raises(StoreDown, match='database "nowhere" does not exist'):
        async with opened(PostgresqlDatabase(url)):
            pass


async def test_a_server_that_does_not_answer_is_down_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portbroker.store.postgresql.database.CONNECTING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = CalledStore(PostgresqlDatabase(f"postgresql://root@127.0.0.1:{port}/x?sslmode=disable"))
        begun = time.monotonic()
        with pytest.raises(StoreDown):
            await store.record([event()])
        assert time.monotonic() - begun < 3
        await store.close()


async def test_when_the_server_restarts_what_can_be_asked_again_is(server: Server) -> None:
    async with opened(PostgresqlDatabase(server.url)) as store:
        made = event(period="2026-11")
        held = Reservation(made.id, made.key_id, made.period, 100, 1000, NOON)
        await asyncio.gather(*(store.key_version() for _ in range(8)))  # so that there are connections to lose
        server.stop()
        begun = time.monotonic()
        with pytest.raises(StoreDown):
            await store.reserve(held)
        assert time.monotonic() - begun < 5
        server.start()
        assert (await store.reserve(held)).granted
        assert await store.record([made]) == 1
        server.stop()
        server.start()
        assert await store.record([made]) == 0
        assert (await store.events(UsageFilter())).events == (made,)


async def test_who_watches_goes_on_after_a_restart(server: Server) -> None:
    async with opened(PostgresqlDatabase(server.url)) as store:
        versions = store.watch()
        before = await anext(versions)
        wait = asyncio.ensure_future(anext(versions))
        server.stop()
        server.start()
        await until_up(server.url)
        await _inserted(store)
        async with asyncio.timeout(10):
            assert await wait > before
        await versions.aclose()  # type: ignore[attr-defined]


async def _inserted(store: Store) -> None:
    """Insert a key, as somebody does who asks again when it is down."""
    key = api_key()
    while True:
        with contextlib.suppress(StoreDown):
            await store.insert_key(key, entry())
            return


async def test_a_server_that_stands_still_is_down_within_seconds_and_then_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portbroker.store.postgresql.database.LONGEST", 1.0)
    async with opened(PostgresqlDatabase(server.url)) as store:
        await store.key_version()
        leader = int((server.data / "postmaster.pid").read_text().split()[0])
        processes = [leader, *_children(leader)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        try:
            with pytest.raises(StoreDown):
                await store.key_version()
            assert time.monotonic() - begun < 5
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        assert await store.key_version() >= 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(("url", "driver", "people"), [
    ("postgresql://u:p%40@h:5432/d", "postgresql://u:p%40@h:5432/d", "postgresql://h:5432/d"),
    ("postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d", "postgresql://h/d"),
    ("postgres://u:p@h/d?sslmode=require&channel_binding=require", "postgresql://u:p@h/d?sslmode=require",
     "postgresql://h/d"),
    ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=%2Frun%2Fpostgresql", "postgresql:///d"),
])  # fmt: skip
def test_a_url_is_taken_as_it_is_written_and_shown_without_its_password(url: str, driver: str, people: str) -> None:
    assert driver_url(url) == driver
    assert shown(url) == people
