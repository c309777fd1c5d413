"""Upkeep: money that nobody spent is given back, old calls are forgotten in small steps, their sums stay."""

import asyncio
from pathlib import Path

import pytest

from portbroker import upkeep as module
from portbroker.store.ids import uuid7
from portbroker.store.records import Reservation, UsageEvent, UsageFilter, UsageQuery
from portbroker.upkeep import Upkeep
from tests.plugs import new_key, plugged, until

DAY = 86400
NOW = 1000 * DAY


async def test_what_was_held_back_for_a_call_that_never_ended_is_given_back(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (store, _):
        key, _secret = await new_key(store)
        await store.reserve(Reservation(uuid7(1), key.id, "total", 60, 100, expires_at=NOW * 1_000_000))
        await Upkeep(store, None, clock=lambda: NOW - 1).sweep()
        assert (await store.spending(key.id, "total")).reserved_nano == 60
        await Upkeep(store, None, clock=lambda: NOW).sweep()
        assert (await store.spending(key.id, "total")).reserved_nano == 0


async def test_old_calls_are_forgotten_in_small_steps_and_their_sums_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 10)
    async with plugged(tmp_path) as (store, plug):
        ages = [90 * DAY + 1] * 35 + [90 * DAY - 1] * 5
        at = [(NOW - age) * 1_000_000 for age in ages]
        await store.record([UsageEvent(uuid7(moment), moment, model="m") for moment in at])
        await Upkeep(store, 90 * DAY, clock=lambda: NOW).forget()
        assert plug.asked["forget"] == 5
        assert len((await store.events(UsageFilter())).events) == 5
        assert (await store.usage(UsageQuery(("model",)))).groups[0].calls == 40


async def test_for_ever_is_for_ever(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (store, plug):
        await Upkeep(store, None, clock=lambda: NOW).forget()
        assert "forget" not in plug.asked


async def test_upkeep_outlives_a_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP", 0.01)
    async with plugged(tmp_path) as (store, plug):
        plug.pulled = True
        upkeep = Upkeep(store, None)
        upkeep.start()
        await until(lambda: plug.asked.get("sweep", 0) >= 2)
        plug.pulled = False
        before = plug.asked["sweep"]
        await until(lambda: plug.asked["sweep"] >= before + 2)
        await upkeep.stop()
        assert not [task for task in asyncio.all_tasks() if "_every" in repr(task)]
