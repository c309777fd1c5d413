"""Usage, on every database."""

import asyncio
import dataclasses
import random
from collections import Counter
from typing import Any

import pytest

from portbroker.store import Store, StoreError
from portbroker.store.plain import text
from portbroker.store.records import Reservation, UsageEvent, UsageFilter, UsageGroup, UsageQuery
from tests.store.databases import Opening
from tests.store.samples import DAY, NOON, SECOND, event

MIDNIGHT = NOON - NOON % DAY


async def groups(store: Store, *by: str, limit: int = 2, **where: object) -> dict[tuple[str, ...], UsageGroup]:
    """All groups by their values, some at a time."""
    found: list[UsageGroup] = []
    after = None
    while True:
        page = await store.usage(UsageQuery(by, UsageFilter(**where), after, limit))  # type: ignore[arg-type]
        assert len(page.groups) == limit or page.next is None
        found += page.groups
        if (after := page.next) is None:
            break
    assert [group.values for group in found] == sorted(group.values for group in found)
    return {group.values: group for group in found}


async def test_events_come_back_as_they_were(store: Store) -> None:
    made = [event(at=NOON + number) for number in range(3)]
    made.append(event(at=NOON + 3, first_token_us=None, attempts=(), tags=(), price={}, partial=True, period="2026-11"))
    assert await store.record(made) == 4
    page = await store.events(UsageFilter())
    assert list(page.events) == made[::-1]
    assert page.next is None


async def test_an_event_that_is_told_again_counts_once(store: Store) -> None:
    made = [event() for _ in range(5)]
    assert await store.record([*made, made[0]]) == 5
    assert await store.record(made) == 0
    assert await store.record([*made, event()]) == 1
    assert (await groups(store))[()].calls == 6


async def test_events_that_are_json_already_are_recorded_as_others_are(store: Store) -> None:
    made = [event(at=NOON + number, tags=("a", "b"), period="2026-11") for number in range(120)]
    assert await store.record(made[:30]) == 30
    assert await store.record_json([text(one) for one in made]) == 90
    assert await store.record_json([text(made[0])]) == 0
    assert await store.record_json([]) == 0
    assert list((await store.events(UsageFilter())).events) == made[:-101:-1]
    assert (await groups(store, "tag"))[("a",)].calls == 120
    twice = dataclasses.replace(event(), tags=("a", "a"))
    assert await store.record_json([text(twice)]) == 1
    assert (await groups(store, "tag"))[("a",)].calls == 121
    with pytest.raises(StoreError, match="NUL"):
        await store.record_json([text(event(model="a\0b"))])


async def test_no_events_are_nothing_to_record(store: Store) -> None:
    assert await store.record([]) == 0
    assert await store.usage(UsageQuery(())) == await store.usage(UsageQuery((), UsageFilter(tag="none")))
    assert (await store.usage(UsageQuery(()))).groups == ()


async def test_replays_from_several_workers_at_once_count_once(opening: Opening) -> None:
    made = [event(key_id=f"key_{number % 7}", model=f"m{number % 3}", at=NOON + number) for number in range(200)]
    chance = random.Random(6)
    async with opening() as one, opening() as another, opening() as third:
        batches = [chance.sample(made, 60) for _ in range(20)] + [made[:100], made[100:]]
        new = await asyncio.gather(*(chance.choice((one, another, third)).record(batch) for batch in batches))
        assert sum(new) == 200
        assert (await groups(one))[()].calls == 200
        assert (await groups(one))[()].cost_nano == sum(one.cost_nano for one in made)


async def test_sums_are_those_of_the_events(store: Store) -> None:
    chance = random.Random(7)
    made = [_random(chance) for _ in range(300)]
    await store.record(made)
    expected = Counter[tuple[str, ...]]()
    for one in made:
        expected[one.key_id, one.model] += one.cost_nano
    found = await groups(store, "key", "model")
    assert {values: group.cost_nano for values, group in found.items()} == dict(expected)
    whole = (await groups(store))[()]
    assert whole == _summed(made)


def _random(chance: random.Random) -> UsageEvent:
    return event(
        at=MIDNIGHT + chance.randrange(3 * DAY),
        key_id=f"key_{chance.randrange(4)}",
        model=chance.choice(("fast", "slow", "Größe", "a_b", "")),
        provider=chance.choice(("OpenAI", "Groq")),
        outcome=chance.choice(("ok", "ok", "cancelled", "timeout")),
        cost_nano=chance.randrange(10**12),
        input_tokens=chance.randrange(10**6),
        partial=chance.random() < 0.2,
        estimated=chance.random() < 0.2,
        tags=tuple(chance.sample(("a", "b", "c"), chance.randrange(4))),
    )


def _summed(events: list[UsageEvent]) -> UsageGroup:
    def total(name: str) -> int:
        return sum(getattr(one, name) for one in events)

    return UsageGroup(
        values=(), caller="batch", calls=len(events), failed=sum(one.outcome == "timeout" for one in events),
        partial=total("partial"), estimated=total("estimated"), input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"), cached_input_tokens=total("cached_input_tokens"),
        cache_write_tokens=total("cache_write_tokens"), reasoning_tokens=total("reasoning_tokens"),
        cost_nano=total("cost_nano"), latency_us=total("latency_us"),
    )  # fmt: skip


@pytest.mark.parametrize("by", [(), ("key",), ("model",), ("provider",), ("day",), ("tag",), ("day", "tag", "provider"),
                                ("provider", "key", "model", "day", "tag")])  # fmt: skip
async def test_totals_and_events_say_the_same(store: Store, by: tuple[str, ...]) -> None:
    chance = random.Random(8)
    await store.record([_random(chance) for _ in range(100)])
    # A moment before the first and after the last day is no whole day: then the events themselves are added up.
    within = {"since": MIDNIGHT, "until": MIDNIGHT + 3 * DAY, "limit": 50}
    beyond = {"since": MIDNIGHT - SECOND, "until": MIDNIGHT + 3 * DAY + SECOND, "limit": 50}
    assert (
        await groups(store, *by, limit=50) == await groups(store, *by, **within) == await groups(store, *by, **beyond)
    )
    for where in _FILTERS:
        assert await groups(store, *by, **within, **where) == await groups(store, *by, **beyond, **where)


_FILTERS: list[dict[str, Any]] = [
    {"key_id": "key_1"}, {"model": "Größe"}, {"provider": "Groq"}, {"tag": "b"},
    {"key_id": "key_2", "model": "", "provider": "OpenAI", "tag": "c"},
]  # fmt: skip


async def test_a_part_of_a_day_holds_what_fell_in_it(store: Store) -> None:
    made = [event(at=NOON - 1, cost_nano=1), event(at=NOON, cost_nano=2), event(at=NOON + SECOND, cost_nano=4)]
    await store.record(made)
    assert (await groups(store, since=NOON))[()].cost_nano == 6
    assert (await groups(store, until=NOON + SECOND))[()].cost_nano == 3
    assert (await groups(store, since=NOON, until=NOON + 1))[()].cost_nano == 2
    assert await groups(store, since=MIDNIGHT + DAY) == {}


async def test_a_day_ends_at_midnight_utc(store: Store) -> None:
    await store.record([event(at=MIDNIGHT - 1), event(at=MIDNIGHT), event(at=MIDNIGHT + DAY - 1)])
    days = {values: group.calls for values, group in (await groups(store, "day")).items()}
    assert days == {("2026-11-22",): 1, ("2026-11-23",): 2}
    assert set(await groups(store, "day", since=MIDNIGHT)) == {("2026-11-23",)}
    assert set(await groups(store, "day", until=MIDNIGHT)) == {("2026-11-22",)}


async def test_a_call_counts_once_for_each_of_its_tags(store: Store) -> None:
    await store.record([event(tags=("a", "b", "a")), event(tags=("b",)), event(tags=()), event(tags=("",))])
    assert {values: group.calls for values, group in (await groups(store, "tag")).items()} == {("a",): 1, ("b",): 2}
    assert (await groups(store))[()].calls == 4
    assert (await groups(store, tag="b"))[()].calls == 2


async def test_outcomes_are_counted_from_the_events(store: Store) -> None:
    await store.record([event(outcome="timeout"), event(outcome="ok"), event(outcome="cancelled")])
    assert (await groups(store, outcome="timeout"))[()].calls == 1
    assert (await groups(store))[()].failed == 1


async def test_events_are_read_in_pages_and_filtered(store: Store) -> None:
    made = [event(at=NOON + number // 3, key_id=f"key_{number % 2}", outcome="ok" if number % 5 else "timeout",
                  tags=("a",) if number % 4 else ("b", "a%"), model="fast" if number % 3 else "slow")
            for number in range(20)]  # fmt: skip
    made.sort(key=lambda one: (one.at, one.id), reverse=True)
    await store.record(made)

    async def read(**where: object) -> list[UsageEvent]:
        found: list[UsageEvent] = []
        after = None
        while True:
            page = await store.events(UsageFilter(**where), after, 3)  # type: ignore[arg-type]
            found += page.events
            if (after := page.next) is None:
                return found

    assert await read() == made
    assert await read(key_id="key_1") == [one for one in made if one.key_id == "key_1"]
    assert await read(outcome="timeout") == [one for one in made if one.outcome == "timeout"]
    assert await read(tag="a%") == [one for one in made if "a%" in one.tags]
    assert await read(model="slow", provider="OpenAI") == [one for one in made if one.model == "slow"]
    assert await read(since=NOON + 2, until=NOON + 4) == [one for one in made if NOON + 2 <= one.at < NOON + 4]


async def test_sums_by_what_there_is_not_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="sums are by key, model, provider, day, tag, not by caller; DROP TABLE keys"):
        await store.usage(UsageQuery(("day", "caller; DROP TABLE keys")))  # type: ignore[arg-type]


@pytest.mark.parametrize("cursor", ["x", "", "W10", "WzFd", "eyJhIjoxfQ", "WyJhIiwiYiJd", "WzFlOTksImEiXQ", "é"])
async def test_a_cursor_that_was_made_up_is_refused(store: Store, cursor: str) -> None:
    await store.record([event()])
    with pytest.raises(StoreError, match="`next` of the page before"):
        await store.events(UsageFilter(), cursor)
    with pytest.raises(StoreError, match="`next` of the page before"):
        await store.usage(UsageQuery(("day", "key", "model"), after=cursor))


async def test_old_events_are_forgotten_in_steps_and_their_sums_stay(store: Store) -> None:
    made = [event(at=NOON + number) for number in range(10)]
    await store.record(made)
    before = await groups(store, "day", "model", "tag")
    assert await store.forget(NOON + 8, 5) == 5
    assert await store.forget(NOON + 8, 5) == 3
    assert await store.forget(NOON + 8, 5) == 0
    assert [one.at - NOON for one in (await store.events(UsageFilter())).events] == [9, 8]
    assert await groups(store, "day", "model", "tag") == before


@pytest.mark.parametrize("poison", [{"cost_nano": 2**63}, {"input_tokens": -(2**63) - 1}, {"model": "nul \0"},
                                    {"caller": "\ud800"}, {"cost_nano": 2**70}])  # fmt: skip
async def test_an_event_that_cannot_be_kept_is_refused_with_its_whole_batch(
    store: Store, poison: dict[str, object]
) -> None:
    good = event(period="2026-11")
    with pytest.raises(StoreError) as told:
        await store.record([good, event(**poison)])
    assert type(told.value) is StoreError  # not that it is down: it would never be up for this one
    assert (await store.events(UsageFilter())).events == ()
    assert await groups(store) == {}
    assert (await store.spending("key_1", "2026-11")).spent_nano == 0
    assert await store.record([good]) == 1


async def test_a_large_batch_is_recorded_as_a_whole(store: Store) -> None:
    made = [event(at=NOON + number, key_id=f"key_{number % 50}") for number in range(2500)]
    assert await store.record(made) == 2500
    assert len(await groups(store, "key")) == 50
    page = await store.events(UsageFilter(), limit=5000)
    assert len(page.events) == 1000  # a page is capped, and says that there is more
    assert page.next is not None


async def test_recording_settles_the_reservation_of_the_same_call(store: Store) -> None:
    made = event(period="2026-11", cost_nano=300)
    held = Reservation(made.id, made.key_id, made.period, 1000, 5000, NOON + SECOND)
    assert (await store.reserve(held)).granted
    await store.record([made])
    spending = await store.spending(made.key_id, made.period)
    assert (spending.spent_nano, spending.reserved_nano) == (300, 0)
    await store.record([made])
    assert await store.spending(made.key_id, made.period) == spending
    await store.record([dataclasses.replace(event(), period="", cost_nano=7)])
    assert await store.spending(made.key_id, made.period) == spending
