"""The keyring: who a key's holder is, also while keys change and while the database is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from portbroker import keyring as module
from portbroker.errors import CallError, GatewayError
from portbroker.keyring import Keyring
from portbroker.keys import new_secret, rotate
from portbroker.store.called import CalledStore
from portbroker.store.records import Scopes
from tests.plugs import PEPPER, Plugged, new_key, note, plugged, until


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def ring(
    directory: Path, known_for: float = 3600.0
) -> AsyncIterator[tuple[Keyring, CalledStore, Plugged, Clock]]:
    clock = Clock()
    async with plugged(directory) as (store, plug):
        keys = Keyring(store, PEPPER, known_for=known_for, clock=clock, wall=clock)
        keys.start()
        try:
            yield keys, store, plug, clock
        finally:
            await keys.stop()


async def refused(keys: Keyring, secret: str) -> str:
    with pytest.raises(CallError) as caught:
        await keys.caller(secret)
    assert (caught.value.kind, caught.value.status) == ("auth", 401)
    return caught.value.message


async def unknowable(keys: Keyring, secret: str) -> None:
    with pytest.raises(GatewayError) as caught:
        await keys.caller(secret)
    assert caught.value.status == 503
    assert caught.value.headers["retry-after"]


async def test_a_key_that_was_asked_for_once_is_known(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, plug, _):
        key, secret = await new_key(store, tags=("a",), scopes=Scopes(models=("gpt-*",)))
        await until(lambda: keys._stored)
        for _ in range(20):
            caller = await keys.caller(secret)
        assert (caller.id, caller.name, caller.tags) == (key.id, "team", ("a",))
        assert plug.asked["key_by_hash"] <= 2


async def test_the_first_callers_of_a_key_share_one_question(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, plug, _):
        _, secret = await new_key(store)
        await until(lambda: keys._stored)
        plug.asked.clear()
        await asyncio.gather(*(keys.caller(secret) for _ in range(50)))
        assert plug.asked["key_by_hash"] <= 2


async def test_what_is_no_key_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, _, plug, clock):
        await until(lambda: keys._stored is not None)
        wrong = new_secret()
        for _ in range(20):
            await refused(keys, wrong)
        assert plug.asked["key_by_hash"] == 1
        clock.now += module.UNKNOWN_FOR
        await refused(keys, wrong)
        assert plug.asked["key_by_hash"] == 2


async def test_a_key_is_known_as_soon_as_it_is_made(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, _, _clock):
        key, secret = rotate((await new_key(store, "other"))[0], PEPPER, 0, 0)
        await refused(keys, secret)
        await store.insert_key(replace(key, id="key_new", name="new"), note())
        await until(lambda: not keys._unknown)
        assert (await keys.caller(secret)).name == "new"


@pytest.mark.parametrize("change", ["revoked", "disabled"])
async def test_a_key_that_is_taken_away_is_refused_within_two_seconds(tmp_path: Path, change: str) -> None:
    async with ring(tmp_path) as (keys, store, _, _clock):
        key, secret = await new_key(store)
        await keys.caller(secret)
        await store.update_key(
            replace(key, revoked_at=5) if change == "revoked" else replace(key, enabled=False), 1, note()
        )

        async def out() -> bool:
            try:
                await keys.caller(secret)
            except CallError:
                return True
            return False

        async with asyncio.timeout(2):
            while not await out():
                await asyncio.sleep(0.01)


async def test_a_deleted_key_is_unknown(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, _, _clock):
        key, secret = await new_key(store)
        await keys.caller(secret)
        version = keys._version
        await store.delete_key(key.id, note())
        await until(lambda: keys._version > version)
        assert "not known" in await refused(keys, secret)


async def test_a_key_expires_while_it_is_known(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, _, clock):
        _, secret = await new_key(store, expires_at=int((clock.now + 60) * 1e6))
        await keys.caller(secret)
        clock.now += 60
        assert "expired" in await refused(keys, secret)


async def test_after_a_rotation_both_secrets_are_good_until_the_overlap_ends(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, _, clock):
        key, old = await new_key(store)
        await keys.caller(old)
        rotated, new = rotate(key, PEPPER, int(clock.now * 1e6), 60_000_000)
        version = keys._version
        await store.update_key(rotated, key.version, note())
        await until(lambda: keys._version > version)
        assert (await keys.caller(old)).id == (await keys.caller(new)).id == key.id
        clock.now += 60
        await keys.caller(new)
        assert "replaced" in await refused(keys, old)


async def test_without_the_database_known_keys_work_for_a_while_and_others_are_not_called_wrong(tmp_path: Path) -> None:
    async with ring(tmp_path, known_for=600) as (keys, store, plug, clock):
        _, secret = await new_key(store)
        revoked, gone = await new_key(store, "gone")
        await store.update_key(replace(revoked, revoked_at=5), 1, note())
        await until(lambda: keys._stored == 3)
        await keys.caller(secret)
        await refused(keys, gone)
        plug.pulled = True
        clock.now += 500
        assert (await keys.caller(secret)).name == "team"
        assert "revoked" in await refused(keys, gone)
        await unknowable(keys, new_secret())
        clock.now += 101
        await unknowable(keys, secret)
        await unknowable(keys, gone)
        plug.pulled = False
        clock.now += module.DOWN_FOR
        assert (await keys.caller(secret)).name == "team"
        await refused(keys, gone)


async def test_a_key_revoked_just_before_the_database_went_away_stays_out(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, store, plug, _):
        key, secret = await new_key(store)
        await keys.caller(secret)
        await store.update_key(replace(key, revoked_at=5), 1, note())
        hashed = PEPPER.hash(secret)
        await until(lambda: keys._entries[hashed].refused)  # nobody has used it since
        plug.pulled = True
        await refused(keys, secret)


async def test_a_database_that_is_slow_keeps_nobody_waiting_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    async with ring(tmp_path) as (keys, store, plug, _):
        _, secret = await new_key(store)
        await until(lambda: keys._stored == 1)
        await keys.caller(secret)
        plug.slow.add("key_by_hash")
        assert (await keys.caller(secret)).name == "team"
        await unknowable(keys, new_secret())


async def test_guesses_beyond_measure_are_not_asked_for(tmp_path: Path) -> None:
    async with ring(tmp_path) as (keys, _, plug, _clock):
        plug.slow.add("key_by_hash")
        guesses = [asyncio.create_task(keys.caller(new_secret())) for _ in range(module._MOST_ASKED)]
        await until(lambda: len(keys._asked) == module._MOST_ASKED)
        await unknowable(keys, new_secret())
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)


async def test_the_memory_is_by_the_whole_hash_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    async with ring(tmp_path) as (keys, store, _, _clock):
        for number in range(25):
            _, secret = await new_key(store, f"key {number}")
            assert (await keys.caller(secret)).name == f"key {number}"
            await refused(keys, new_secret())
        assert len(keys._entries) <= 10
        assert len(keys._unknown) <= 10
        assert all(len(hashed) == 32 for hashed in keys._entries)


async def test_a_call_before_the_database_is_open_waits_for_it(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (store, _):
        _, secret = await new_key(store)
        keys = Keyring(store, PEPPER)
        early = asyncio.create_task(keys.caller(secret))
        await asyncio.sleep(0)
        keys.start()
        assert (await early).name == "team"
        await keys.stop()
