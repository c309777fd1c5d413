"""SQLite for several processes."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portbroker.store import Store, StoreDown
from portbroker.store.called import CalledStore
from portbroker.store.keeper import KeptDatabase
from portbroker.store.keeper.lock import Lock
from portbroker.store.records import Spending, UsageFilter
from tests.store.databases import opened
from tests.store.samples import NOON, api_key, entry, event
from tests.store.sharing import CENT


@contextlib.asynccontextmanager
async def process(path: Path, number: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that uses the database, from when it has it open."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.sharing", str(path), str(number), stdout=asyncio.subprocess.PIPE
    )
    assert running.stdout is not None
    try:
        assert await running.stdout.readline() == b"open\n"
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def read(running: asyncio.subprocess.Process, count: int) -> set[str]:
    """The next ids that it has recorded."""
    assert running.stdout is not None
    return {(await running.stdout.readline()).decode().strip() for _ in range(count)}


async def rest(running: asyncio.subprocess.Process) -> set[str]:
    """Kill it; the ids that it had recorded and not told yet."""
    running.kill()
    assert running.stdout is not None
    return set((await running.stdout.read()).decode().split())


async def all_ids(store: Store) -> set[str]:
    """The ids of all events."""
    found: set[str] = set()
    after = None
    while True:
        page = await store.events(UsageFilter(), after, 1000)
        found |= {one.id for one in page.events}
        if (after := page.next) is None:
            return found


async def test_when_its_keeper_is_killed_another_goes_on_and_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    path = tmp_path / "portbroker.db"
    recorded: set[str] = set()
    async with process(path, 1) as first, process(path, 2) as second, process(path, 3) as third:
        for running in (first, second, third):
            recorded |= await read(running, 20)
        for keeper in (first, second):  # whoever keeps it: of three, the first two end, in the order of their coming
            recorded |= await rest(keeper)
            recorded |= await read(third, 20)
        recorded |= await rest(third)
    async with opened(KeptDatabase(path)) as store:
        await store.sweep(NOON)
        stored = await all_ids(store)
        assert recorded <= stored
        assert len(stored - recorded) <= 3  # what each had under way when it was killed
        assert await store.spending("key_1", "2026-11") == Spending(len(stored) * CENT, 0)


async def test_at_no_time_have_two_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "portbroker.db"
    async with opened(KeptDatabase(path)) as here, process(path, 1) as there:
        await read(there, 3)
        assert _open_by(os.getpid(), path)
        assert not _open_by(there.pid, path)
        await here.close()
        await read(there, 3)
        assert _open_by(there.pid, path)
        assert not _open_by(os.getpid(), path)


def _open_by(pid: int, path: Path) -> bool:
    descriptors = Path(f"/proc/{pid}/fd")
    found = set()
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(descriptor))
    return str(path) in found


async def test_the_next_one_takes_over_at_once_when_the_keeper_closes(tmp_path: Path) -> None:
    path = tmp_path / "portbroker.db"
    stores = [CalledStore(KeptDatabase(path)) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    for number, store in enumerate(stores):
        await store.insert_key(api_key(), entry())
        assert len(await stores[-1].keys()) == number + 1
        await store.close()
    assert not list(tmp_path.glob("*socket*"))


async def test_a_store_that_is_closed_does_not_open_the_file_again(tmp_path: Path) -> None:
    store = CalledStore(KeptDatabase(tmp_path / "x.db"))
    with pytest.raises(StoreDown, match="is not open"):
        await store.keys()
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreDown, match="is not open"):
        await store.keys()
    await store.open()
    assert await store.keys() == []
    await store.close()


async def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    store = CalledStore(KeptDatabase(tmp_path / "x.db"))
    await store.open()
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        await store.close()
        async with asyncio.timeout(2), opened(KeptDatabase(tmp_path / "x.db")) as another:
            assert await another.keys() == []
    finally:
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)


async def test_a_change_is_told_to_the_others_and_not_only_found_by_them(tmp_path: Path) -> None:
    async with opened(KeptDatabase(tmp_path / "x.db")) as here, opened(KeptDatabase(tmp_path / "x.db")) as there:
        versions = [store.watch() for store in (here, there)]
        before = [await anext(each) for each in versions]
        for store in (here, there):
            waits = [asyncio.ensure_future(anext(each)) for each in versions]
            await asyncio.sleep(0)  # they wait now
            async with asyncio.timeout(0.9):  # and would look by themselves after a second
                await store.insert_key(api_key(), entry())
                after = [await wait for wait in waits]
            assert after == [version + 1 for version in before]
            before = after


async def test_a_path_that_is_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    async with opened(KeptDatabase(directory / "x.db")) as here, opened(KeptDatabase(directory / "x.db")) as there:
        await here.insert_key(api_key(), entry())
        assert len(await there.keys()) == 1
        elsewhere = Path(Lock(directory / "x.db").where()).parent
        assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert not elsewhere.exists()


async def test_only_this_user_reaches_the_database(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(KeptDatabase(tmp_path / "x.db")) as store:
            await store.record([event()])
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            assert set(modes) == {"x.db", "x.db-wal", "x.db-shm", "x.db-lock", "x.db-socket"}
            assert set(modes.values()) == {0o600}
    finally:
        os.umask(before)


async def test_a_lock_left_by_a_process_that_died_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "x.db-lock").write_text(str(tmp_path / "x.db-socket"))
    (tmp_path / "x.db-socket").write_text("")
    async with opened(KeptDatabase(tmp_path / "x.db")) as store:
        assert await store.keys() == []


@pytest.mark.parametrize(
    "message", [b"\xff\xff\xff\xff", b"\0\0\0\x03abc", b"\0\0\0\x02{}", b"\0\0\0\x02[]", b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_whoever_says_something_else_ends_its_own_connection_only(tmp_path: Path, message: bytes) -> None:
    async with opened(KeptDatabase(tmp_path / "x.db")) as here, opened(KeptDatabase(tmp_path / "x.db")) as there:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "x.db-socket")
        writer.write(message)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
        assert await here.keys() == await there.keys() == []


async def test_an_operation_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    async with opened(KeptDatabase(tmp_path / "x.db")):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "x.db-socket")
        data = json.dumps({"id": 1, "name": "open", "arguments": {}}).encode()
        writer.write(len(data).to_bytes(4, "big") + data)
        length = int.from_bytes(await reader.readexactly(4), "big")
        answer = json.loads(await reader.readexactly(length))
        assert answer["id"] == 1
        assert "error" in answer
        writer.close()


async def test_a_keeper_that_is_stuck_costs_seconds_and_not_minutes(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with opened(KeptDatabase(path)) as here, opened(KeptDatabase(path)) as there:
        await here.keys()
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(4):
            told = await asyncio.gather(*(store.release("none") for store in (here, there)), return_exceptions=True)
        assert [type(one) for one in told] == [StoreDown, StoreDown]
        assert "locked by another program" in str(told)
        blocker.execute("ROLLBACK")
        blocker.close()
        for store in (here, there):
            await store.release("none")
