"""The recorder: whatever happens to the database or to the process, each row is kept once."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from portbroker import recorder as module
from portbroker.errors import StoreDown
from portbroker.recorder import Recorder
from portbroker.spool import Spool, segments
from portbroker.store.called import CalledStore
from portbroker.store.ids import uuid7
from portbroker.store.plain import text
from portbroker.store.records import UsageEvent, UsageFilter, UsageQuery
from tests.plugs import Plugged, plugged, until


def row(number: int = 0, **fields: object) -> bytes:
    return orjson.dumps({**orjson.loads(text(UsageEvent(uuid7(number), number, model=f"m{number}"))), **fields})


@contextlib.asynccontextmanager
async def recording(directory: Path, limit: int = 1 << 30) -> AsyncIterator[tuple[Recorder, CalledStore, Plugged]]:
    spool = directory / "spool"
    spool.mkdir(exist_ok=True)
    async with plugged(directory) as (store, plug):
        recorder = Recorder(store, Spool(spool, limit))
        recorder.start()
        try:
            yield recorder, store, plug
        finally:
            await recorder.stop()


async def models(store: CalledStore) -> list[str]:
    page = await store.events(UsageFilter(), limit=1000)
    return sorted((event.model for event in page.events), key=lambda name: int(name[1:]))


async def calls(store: CalledStore) -> int:
    page = await store.usage(UsageQuery(("key",)))
    return sum(group.calls for group in page.groups)


async def kept(store: CalledStore, count: int) -> None:
    async with asyncio.timeout(20):
        while await calls(store) < count:
            await asyncio.sleep(0.02)


async def test_a_row_is_kept_within_moments_and_the_disk_is_clean_again(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, _):
        recorder.record(row(1))
        assert len(segments(tmp_path / "spool")) == 1
        await kept(store, 1)
        await until(lambda: not segments(tmp_path / "spool"))
        assert await models(store) == ["m1"]


async def test_rows_go_in_batches(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, plug):
        for number in range(3 * module.BATCH):
            recorder.record(row(number))
        await kept(store, 3 * module.BATCH)
        assert plug.asked["record"] <= 4


async def test_what_comes_while_the_database_is_away_is_kept_when_it_is_back(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, plug):
        plug.pulled = True
        for number in range(2500):
            recorder.record(row(number))
            if number % 500 == 0:
                await asyncio.sleep(0.3)
        await until(lambda: recorder._down)
        assert len(recorder._rows) <= module.BATCH
        plug.pulled = False
        await kept(store, 2500)
        await until(lambda: not segments(tmp_path / "spool"))
        assert await calls(store) == 2500


def _killed(directory: Path, rows: list[bytes]) -> None:
    """A process that has appended these is gone."""
    child = os.fork()
    if not child:
        spool = Spool(directory)
        for one in rows:
            spool.append(one)
        os._exit(9)
    os.waitpid(child, 0)


async def test_what_a_killed_process_left_is_kept_once(tmp_path: Path) -> None:
    rows = [row(number) for number in range(700)]
    (tmp_path / "spool").mkdir()
    _killed(tmp_path / "spool", rows)
    async with recording(tmp_path) as (recorder, store, _):
        for one in rows[:50]:
            recorder.record(one)  # the same again: it was recorded, and its segment not yet gone
        await kept(store, 700)
        await until(lambda: not segments(tmp_path / "spool"))
        assert await calls(store) == 700


async def test_an_answer_that_was_lost_counts_no_row_twice(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, plug):
        done = asyncio.Event()
        real = plug.call

        async def call(name: str, arguments: object) -> object:
            said = await real(name, arguments)  # type: ignore[arg-type]
            if name == "record" and not done.is_set():
                done.set()
                raise StoreDown("the answer was lost")
            return said

        plug.call = call  # type: ignore[method-assign]
        for number in range(20):
            recorder.record(row(number))
        await done.wait()
        await until(lambda: not segments(tmp_path / "spool"))
        assert await calls(store) == 20


async def test_a_row_that_no_database_takes_is_put_aside_and_the_others_are_kept(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, _):
        poison = row(2, model="m\x00")
        for one in (row(1), poison, b"not json", row(3)):
            recorder.record(one)
        await kept(store, 2)
        await until(lambda: recorder.spool.counts.dead == 2)
        assert await models(store) == ["m1", "m3"]
        assert (tmp_path / "spool" / "dead-letters.jsonl").read_bytes().splitlines() == [poison, b"not json"]


async def test_a_disk_that_takes_nothing_costs_no_row_while_the_database_does(tmp_path: Path) -> None:
    async with recording(tmp_path, limit=10) as (recorder, store, _):
        for number in range(30):
            recorder.record(row(number))
        await kept(store, 30)
        assert recorder.spool.counts.unspooled == 30
        assert recorder.spool.counts.dropped == 0


async def test_what_neither_disk_nor_memory_holds_is_counted_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    async with recording(tmp_path, limit=10) as (recorder, store, plug):
        plug.pulled = True
        for number in range(12):
            recorder.record(row(number))
        assert recorder.spool.counts.dropped == 7
        assert caplog.text.count("usage is lost") == 1
        plug.pulled = False
        await kept(store, 5)


async def test_the_last_rows_are_kept_before_it_ends(tmp_path: Path) -> None:
    async with recording(tmp_path) as (recorder, store, _):
        recorder.record(row(1))
        await recorder.stop()
        assert await models(store) == ["m1"]


async def test_rows_of_before_the_database_was_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    async with plugged(tmp_path) as (store, _):
        early = Recorder(store, Spool(tmp_path / "spool"))
        early.record(row(1))
        early.start()
        await kept(store, 1)
        await early.stop()
