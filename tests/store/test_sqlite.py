"""What is special about SQLite: the file, and what can happen to it."""

import asyncio
import contextlib
import os
import pwd
import shutil
import sqlite3
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from portbroker.store import StoreDown, StoreError
from portbroker.store.records import UsageFilter, UsageQuery
from portbroker.store.sqlite import SqliteDatabase
from tests.store.databases import opened
from tests.store.samples import api_key, entry, event


async def test_the_file_is_made_for_this_user_alone(tmp_path: Path) -> None:
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        await store.record([event()])
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    key, made = api_key(), event()
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        await store.insert_key(key, entry())
        await store.record([made])
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        assert await store.key(key.id) == key
        assert await store.record([made]) == 0


@pytest.mark.parametrize("there", ["file", "directory", "nothing"])
async def test_what_is_no_database_is_refused_with_what_to_do(tmp_path: Path, there: str) -> None:
    path = tmp_path / "x.db"
    if there == "file":
        path.write_bytes(b"this is no database" * 100)
    elif there == "directory":
        path.mkdir()
    else:
        path = tmp_path / "no" / "x.db"
    with pytest.raises(StoreError, match="restore a copy" if there == "file" else "cannot be opened") as told:
        async with opened(SqliteDatabase(path)):
            pass
    assert str(path) in str(told.value)


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with opened(SqliteDatabase(tmp_path / "x.db")):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer PortBroker"):
        async with opened(SqliteDatabase(tmp_path / "x.db")):
            pass


async def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("CREATE TABLE audit (id)")  # the last of those that the step makes
    with pytest.raises(StoreError, match="audit already exists"):
        async with opened(SqliteDatabase(tmp_path / "x.db")):
            pass
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == ["audit"]
        assert db.execute("PRAGMA user_version").fetchone() == (0,)


async def test_while_another_program_has_it_locked_it_is_down_and_then_up(tmp_path: Path) -> None:
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            with pytest.raises(StoreDown, match="locked by another program"):
                await store.record([event()])
            assert time.monotonic() - begun < 3
            assert await store.key_version() == 0  # those who read need not wait
        assert await store.record([event()]) == 1


async def test_who_waits_behind_a_lock_waits_seconds_and_not_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portbroker.store.sqlite.database.LONGEST", 2.0)
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            told = await asyncio.gather(*(store.release("none") for _ in range(50)), return_exceptions=True)
            assert {type(one) for one in told} == {StoreDown}
            assert time.monotonic() - begun < 4
        async with asyncio.timeout(8):
            while isinstance((await asyncio.gather(store.record([event()]), return_exceptions=True))[0], StoreDown):
                await asyncio.sleep(0.05)


async def test_who_adds_up_a_great_deal_keeps_nobody_from_their_calls_and_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portbroker.store.sqlite.database.LONGEST", 1.0)
    path = tmp_path / "x.db"
    async with opened(SqliteDatabase(path)) as store:
        await store.record([event()])
        with contextlib.closing(sqlite3.connect(path)) as db, db:  # so many that adding them up takes minutes
            db.execute("ALTER TABLE events RENAME TO one")
            db.execute(
                "CREATE VIEW events AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 1000000000)"
                " SELECT one.* FROM one, n"
            )
        long = asyncio.ensure_future(store.usage(UsageQuery((), UsageFilter(outcome="ok"))))
        for _ in range(10):
            await asyncio.sleep(0.02)
            begun = time.monotonic()
            await store.release("none")
            assert time.monotonic() - begun < 0.8
            assert not long.done()
        with pytest.raises(StoreDown, match="did not answer within 1 s"):
            await long
        async with asyncio.timeout(1):  # and the thread is free again
            assert await store.keys() == []


async def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "x.db")
    async with opened(database) as store:
        await store.record([event()])
        db = database._writing.connection._db
        assert db is not None
        db.execute("PRAGMA max_page_count = 1")  # as many as there are: for SQLite, the disk is full
        many = [event(at=number) for number in range(500)]
        with pytest.raises(StoreDown, match="the disk is full"):
            await store.record(many)
        assert len((await store.events(UsageFilter())).events) == 1
        db.execute("PRAGMA max_page_count = 100000")
        assert await store.record(many) == 500


async def test_a_file_that_was_taken_away_is_not_written_any_more(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with opened(SqliteDatabase(path)) as store:
        await store.insert_key(api_key(), entry())
        path.rename(tmp_path / "away.db")
        with pytest.raises(StoreDown, match="is gone: put it back"):
            await store.record([event()])
        (tmp_path / "away.db").rename(path)
        assert await store.record([event()]) == 1
        assert len(await store.keys()) == 1


async def test_a_copy_that_was_put_in_its_place_is_what_counts(tmp_path: Path) -> None:
    path, copy = tmp_path / "x.db", tmp_path / "copy.db"
    async with opened(SqliteDatabase(path)) as store:
        await store.insert_key(api_key(), entry())
    shutil.copy(path, copy)
    async with opened(SqliteDatabase(path)) as store:
        await store.insert_key(api_key(), entry())
        assert len(await store.keys()) == 2
        copy.rename(path)
        assert len(await store.keys()) == 1
        await store.record([event()])
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_copy_that_comes_after_a_while_is_what_counts_too(tmp_path: Path) -> None:
    path, copy = tmp_path / "x.db", tmp_path / "copy.db"
    async with opened(SqliteDatabase(path)):
        pass
    shutil.copy(path, copy)
    async with opened(SqliteDatabase(path)) as store:
        await store.insert_key(api_key(), entry())
        path.unlink()
        with pytest.raises(StoreDown):
            await store.keys()
        copy.rename(path)
        assert await store.keys() == []


async def test_a_read_only_file_is_down_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with opened(SqliteDatabase(path)) as store:
        await store.insert_key(api_key(), entry())
    path.chmod(0o444)
    tmp_path.chmod(0o555)

    async def use() -> None:
        with pytest.raises(StoreDown, match=r"make it and its directory writable|look whether its directory"):
            async with opened(SqliteDatabase(path)) as store:
                await store.record([event()])

    try:
        as_nobody(use, tmp_path)
    finally:
        tmp_path.chmod(0o755)


def as_nobody(use: Callable[[], Coroutine[Any, Any, None]], directory: Path) -> None:
    """Do it in a process of a user who may not write everywhere, as root may."""
    for parent in (directory, *directory.parents):
        if parent.owner() == "root" and os.getuid() == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o055)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setresuid(*[pwd.getpwnam("nobody").pw_uid] * 3)
            asyncio.new_event_loop().run_until_complete(use())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


async def test_statements_of_a_step_may_hold_semicolons_in_their_texts(tmp_path: Path) -> None:
    async with opened(SqliteDatabase(tmp_path / "x.db")) as store:
        assert await store.key_version() == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
