"""Keys, on every database."""

import asyncio
import contextlib
import dataclasses

import pytest

from portbroker.store import Conflict, Store, StoreError
from portbroker.store.records import ApiKey, KeyLimits, Scopes
from tests.store.databases import Opening
from tests.store.samples import api_key, entry


async def kept(store: Store, **changes: object) -> ApiKey:
    key = api_key(**changes)
    await store.insert_key(key, entry())
    return key


async def test_a_key_comes_back_as_it_was_by_its_id_and_by_its_hashes(store: Store) -> None:
    key, other = await kept(store), await kept(store, budget=None, previous_hash=None, previous_until=None)
    plain = await kept(store, metadata={}, tags=(), scopes=Scopes(), limits=KeyLimits(), expires_at=None)
    assert key.previous_hash is not None
    assert await store.key(key.id) == key
    assert await store.key_by_hash(key.hash) == key
    assert await store.key_by_hash(key.previous_hash) == key
    assert await store.key_by_hash(other.hash) == other
    assert await store.key(plain.id) == plain


async def test_a_key_that_is_not_there_is_none(store: Store) -> None:
    await kept(store)
    assert await store.key("key_none") is None
    assert await store.key_by_hash(b"\0" * 32) is None


async def test_a_name_is_given_once(store: Store) -> None:
    await kept(store, name="batch")
    with pytest.raises(Conflict, match="choose another") as told:
        await kept(store, name="batch")
    assert told.value.what == "name"
    assert len(await store.keys()) == 1


async def test_a_name_is_given_once_to_those_who_ask_at_once(opening: Opening) -> None:
    async with opening() as one, opening() as another:
        asked = [asyncio.ensure_future(kept(store, name="batch")) for store in (one, another) * 4]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, ApiKey) for answer in told) == 1
        assert sum(isinstance(answer, Conflict) for answer in told) == 7


async def test_keys_are_listed_in_pages_by_id(store: Store) -> None:
    ids = [(await kept(store)).id for _ in range(7)]
    first = await store.keys(limit=3)
    second = await store.keys(after=first[-1].id, limit=3)
    third = await store.keys(after=second[-1].id, limit=3)
    assert [key.id for key in (*first, *second, *third)] == ids
    assert await store.keys(after=ids[-1]) == []


async def test_a_page_has_at_least_one_and_at_most_a_thousand(store: Store) -> None:
    for _ in range(3):
        await kept(store)
    assert len(await store.keys(limit=-5)) == 1
    assert len(await store.keys(limit=10**12)) == 3


@pytest.mark.parametrize(("search", "found"), [
    ("", ["100% sure", "100 sure", "a_b", "aXb", "back\\slash"]),
    ("SURE", ["100% sure", "100 sure"]),
    ("100%", ["100% sure"]),
    ("_", ["a_b"]),
    ("\\", ["back\\slash"]),
    ("' OR 1=1 --", []),
])  # fmt: skip
async def test_a_search_finds_a_part_of_the_name_and_knows_no_wildcards(
    store: Store, search: str, found: list[str]
) -> None:
    for name in ("100% sure", "100 sure", "a_b", "aXb", "back\\slash"):
        await kept(store, name=name)
    assert [key.name for key in await store.keys(search=search)] == found


async def test_a_changed_key_has_the_next_version(store: Store) -> None:
    key = await kept(store, revoked_at=None, tags=())
    changed = dataclasses.replace(key, revoked_at=5, tags=("x",), budget=None, hash=b"n" * 32, name="new")
    assert await store.update_key(changed, 1, entry()) == dataclasses.replace(changed, version=2)
    assert await store.key(key.id) == dataclasses.replace(changed, version=2)
    assert await store.key_by_hash(key.hash) is None


async def test_a_change_of_a_version_that_is_past_is_refused(store: Store) -> None:
    key = await kept(store)
    await store.update_key(dataclasses.replace(key, name="mine"), 1, entry())
    with pytest.raises(Conflict, match="read it again") as told:
        await store.update_key(dataclasses.replace(key, name="theirs"), 1, entry())
    assert told.value.what == "version"
    now = await store.key(key.id)
    assert now is not None
    assert now.name == "mine"


async def test_of_many_changes_at_once_one_takes_place(opening: Opening) -> None:
    async with opening() as one, opening() as another:
        key = await kept(one)
        changes = (
            store.update_key(dataclasses.replace(key, name=f"name {number}"), 1, entry())
            for number, store in enumerate((one, another) * 5)
        )
        told = await asyncio.gather(*changes, return_exceptions=True)
        assert sum(isinstance(answer, ApiKey) for answer in told) == 1
        assert sum(isinstance(answer, Conflict) for answer in told) == 9
        assert len([one for one in await one.audit() if one.action == "key.update"]) == 0


async def test_a_change_to_a_name_that_is_taken_is_refused(store: Store) -> None:
    key, other = await kept(store), await kept(store)
    with pytest.raises(Conflict) as told:
        await store.update_key(dataclasses.replace(key, name=other.name), 1, entry())
    assert told.value.what == "name"


async def test_a_change_of_a_deleted_key_is_refused(store: Store) -> None:
    key = await kept(store)
    assert await store.delete_key(key.id, entry())
    assert not await store.delete_key(key.id, entry())
    assert await store.key(key.id) is None
    with pytest.raises(Conflict) as told:
        await store.update_key(key, 1, entry())
    assert told.value.what == "gone"


async def test_each_change_brings_a_new_key_version_and_one_that_fails_does_not(store: Store) -> None:
    seen = [await store.key_version()]
    key = await kept(store)
    seen.append(await store.key_version())
    await store.update_key(key, 1, entry())
    seen.append(await store.key_version())
    await store.delete_key(key.id, entry())
    seen.append(await store.key_version())
    assert seen == sorted(set(seen))
    with contextlib.suppress(Conflict):
        await store.update_key(key, 1, entry())
    assert await store.key_version() == seen[-1]


async def test_a_change_is_known_everywhere_within_two_seconds(opening: Opening) -> None:
    async with opening() as here, opening() as there:
        versions = there.watch()
        before = await anext(versions)
        key = await kept(here)
        async with asyncio.timeout(2):
            assert await anext(versions) > before
        assert await there.key(key.id) == key


async def test_a_change_that_is_refused_leaves_no_audit_entry(store: Store) -> None:
    made = entry("key.create")
    await store.insert_key(api_key(name="batch"), made)
    with pytest.raises(Conflict):
        await kept(store, name="batch")
    assert await store.audit() == [made]


async def test_audit_entries_are_listed_the_newest_first(store: Store) -> None:
    made = [entry(id=f"id-{number}", details={"number": number}, address="::1") for number in range(5)]
    for one in made:
        await store.add_audit(one)
    assert await store.audit(limit=2) == [made[4], made[3]]
    assert await store.audit(after=made[3].id) == made[2::-1]


async def test_keys_made_with_another_secret_are_not_served(store: Store) -> None:
    await store.check_pepper("one")
    await store.check_pepper("two")  # nothing was made with the first
    await kept(store)
    await store.check_pepper("two")
    with pytest.raises(StoreError, match="another SECRET_KEY"):
        await store.check_pepper("three")


async def test_what_no_text_can_hold_is_refused_and_nothing_of_it_kept(store: Store) -> None:
    for bad in ("nul \0", "lone \ud800"):
        with pytest.raises(StoreError, match="cannot be kept"):
            await kept(store, name=bad)
    assert await store.keys() == []
    await kept(store, name="\\u0000")
    assert [key.name for key in await store.keys()] == ["\\u0000"]


@pytest.mark.parametrize("hostile", ["'; DROP TABLE keys; --", "x' OR '1'='1", ":after", "%s", "$1", "{}", '"', "\\"])
async def test_a_text_is_only_ever_a_text(store: Store, hostile: str) -> None:
    key = await kept(store, name=hostile, description=hostile, metadata={hostile: hostile}, tags=(hostile,))
    assert await store.key(key.id) == key
    assert await store.key(hostile) is None
    assert await store.keys(after=hostile, search=hostile) in ([], [key])
    assert await store.audit(after=hostile) is not None
