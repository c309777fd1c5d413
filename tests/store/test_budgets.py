"""Budgets and windows, on every database."""

import asyncio
import random

import pytest

from portbroker.store import Store
from portbroker.store.ids import uuid7
from portbroker.store.periods import period_end, period_key
from portbroker.store.records import Budget, Reservation, Spending, Take
from tests.store.databases import Opening
from tests.store.samples import NOON, SECOND, event

MINUTE = 60 * SECOND


def reservation(amount: int = 100, budget: int = 1000, **changes: object) -> Reservation:
    values: dict[str, object] = {"id": uuid7(NOON), "key_id": "key_1", "period": "2026-11", "amount_nano": amount,
                                 "budget_nano": budget, "expires_at": NOON + MINUTE}  # fmt: skip
    return Reservation(**values | changes)  # type: ignore[arg-type]


async def test_of_a_hundred_at_once_a_budget_for_ten_grants_ten(opening: Opening) -> None:
    async with opening() as one, opening() as another:
        stores = [one, another] * 50
        told = await asyncio.gather(*(store.reserve(reservation()) for store in stores))
        assert sum(answer.granted for answer in told) == 10
        assert await one.spending("key_1", "2026-11") == Spending(0, 1000)


async def test_a_reservation_says_what_is_left(store: Store) -> None:
    assert (await store.reserve(reservation(400))).remaining_nano == 600
    refused = await store.reserve(reservation(601))
    assert (refused.granted, refused.remaining_nano) == (False, 600)
    assert (await store.reserve(reservation(600))).granted


async def test_a_reservation_that_is_asked_for_again_is_the_same(store: Store) -> None:
    held = reservation(400)
    assert await store.reserve(held) == await store.reserve(held)
    assert await store.spending("key_1", "2026-11") == Spending(0, 400)


async def test_one_that_was_refused_can_be_asked_for_again(store: Store) -> None:
    first, held = reservation(1000), reservation(400)
    await store.reserve(first)
    assert not (await store.reserve(held)).granted
    await store.release(first.id)
    assert (await store.reserve(held)).granted


async def test_a_released_reservation_is_given_back_once(store: Store) -> None:
    held, other = reservation(400), reservation(100)
    await store.reserve(held)
    await store.reserve(other)
    await store.release(held.id)
    await store.release(held.id)
    await store.release("none")
    assert await store.spending("key_1", "2026-11") == Spending(0, 100)


async def test_the_sweeper_frees_what_has_expired_and_nothing_else(store: Store) -> None:
    for end in (1, 2, 3):
        await store.reserve(reservation(100, expires_at=NOON + end))
    await store.reserve(reservation(7, key_id="key_2", expires_at=NOON + 2))
    assert await store.sweep(NOON + 2) == 3
    assert await store.sweep(NOON + 2) == 0
    assert await store.spending("key_1", "2026-11") == Spending(0, 100)
    assert await store.spending("key_2", "2026-11") == Spending(0, 0)


async def test_a_call_whose_reservation_has_expired_is_paid_all_the_same(store: Store) -> None:
    held = reservation(400)
    await store.reserve(held)
    await store.sweep(held.expires_at)
    await store.record([event(id=held.id, period="2026-11", cost_nano=250)])
    assert await store.spending("key_1", "2026-11") == Spending(250, 0)


async def test_what_a_call_cost_beyond_its_reservation_is_spent(store: Store) -> None:
    held = reservation(400)
    await store.reserve(held)
    await store.record([event(id=held.id, period="2026-11", cost_nano=1500)])
    refused = await store.reserve(reservation(1))
    assert (refused.granted, refused.remaining_nano) == (False, 0)


async def test_a_new_period_begins_with_the_whole_budget_where_the_budget_is(store: Store) -> None:
    budget = Budget(1000, "day", "Europe/Berlin")
    end = period_end(budget, NOON)
    assert end is not None
    today, tomorrow = period_key(budget, end - 1), period_key(budget, end)
    assert (await store.reserve(reservation(1000, period=today))).granted
    assert not (await store.reserve(reservation(1, period=today))).granted
    assert (await store.reserve(reservation(1000, period=tomorrow))).granted
    assert await store.spending("key_1", period_key(Budget(1, "total"), end)) == Spending()


async def test_a_late_event_is_paid_from_the_period_that_it_began_in(store: Store) -> None:
    held = reservation(400, period="2026-11-23")
    await store.reserve(held)
    await store.reserve(reservation(5, period="2026-11-24"))
    await store.record([event(id=held.id, period="2026-11-23", cost_nano=300)])
    assert await store.spending("key_1", "2026-11-23") == Spending(300, 0)
    assert await store.spending("key_1", "2026-11-24") == Spending(0, 5)


async def test_however_calls_come_and_go_the_books_agree(opening: Opening) -> None:
    chance = random.Random(9)
    spent = 0

    async def call(store: Store) -> None:
        nonlocal spent
        held = reservation(chance.randrange(1, 200), 2000, expires_at=NOON + chance.choice((1, MINUTE)))
        if not (await store.reserve(held)).granted:
            return
        match chance.randrange(4):
            case 0:
                await store.release(held.id)
            case 1:
                await store.sweep(NOON + 1)
            case _:
                made = event(id=held.id, period="2026-11", cost_nano=chance.randrange(held.amount_nano + 1))
                new = await store.record([made])  # in a line of its own: `spent` is read before what is awaited
                spent += made.cost_nano * new
                await store.record([made])

    async with opening() as one, opening() as another:
        for _ in range(6):
            await asyncio.gather(*(call(chance.choice((one, another))) for _ in range(25)))
            now = await one.spending("key_1", "2026-11")
            assert now.spent_nano == spent
            assert now.reserved_nano >= 0
        await one.sweep(NOON + MINUTE)
        assert await another.spending("key_1", "2026-11") == Spending(spent, 0)


def take(amount: int = 1, limit: int = 10, bucket: str = "requests:key_1") -> Take:
    return Take(bucket, amount, limit)


async def test_of_a_hundred_at_once_a_window_for_ten_grants_ten(opening: Opening) -> None:
    async with opening() as one, opening() as another:
        told = await asyncio.gather(*(store.take([take()], NOON) for store in [one, another] * 50))
        assert sum(taken.granted for (taken,) in told) == 10


async def test_in_no_span_of_a_minute_more_is_taken_than_the_limit(store: Store) -> None:
    chance = random.Random(10)
    now, granted = NOON, []
    for _ in range(120):
        now += chance.randrange(5 * SECOND)
        if (await store.take([take()], now))[0].granted:
            granted.append(now)
    for begin in granted:
        assert sum(begin <= one < begin + MINUTE for one in granted) <= 10
    assert len(granted) > 30  # and the limit can be had, minute after minute


async def test_who_is_refused_learns_when_to_come_back(store: Store) -> None:
    for number in range(10):
        await store.take([take()], NOON + number * SECOND)
    now = NOON + 30 * SECOND
    (refused,) = await store.take([take(3)], now)
    assert (refused.granted, refused.remaining) == (False, 0)
    assert 32 * SECOND < refused.retry_after <= 33 * SECOND
    assert not (await store.take([take(3)], now + refused.retry_after - 1))[0].granted
    assert (await store.take([take(3)], now + refused.retry_after))[0].granted


async def test_what_is_more_than_the_limit_is_never_granted(store: Store) -> None:
    (refused,) = await store.take([take(11)], NOON)
    assert (refused.granted, refused.remaining, refused.retry_after) == (False, 10, MINUTE)


async def test_takes_go_together_or_not_at_all(store: Store) -> None:
    requests, tokens = take(1, 10), take(600, 1000, "tokens:key_1")
    assert [taken.remaining for taken in await store.take([requests, tokens], NOON)] == [9, 400]
    told = await store.take([requests, tokens], NOON)
    assert [(taken.granted, taken.remaining) for taken in told] == [(True, 9), (False, 400)]
    assert (await store.take([take(9)], NOON))[0].granted


async def test_a_limit_that_has_changed_counts_at_once(store: Store) -> None:
    await store.take([take(5, 10)], NOON)
    assert not (await store.take([take(1, 5)], NOON))[0].granted
    assert (await store.take([take(1, 20)], NOON))[0].remaining == 14


@pytest.mark.parametrize(("by", "left"), [(-3, 7), (3, 1), (6, 0), (-100, 10)])
async def test_a_window_is_corrected_to_what_was_used(store: Store, by: int, left: int) -> None:
    await store.take([take(6)], NOON)
    await store.correct("requests:key_1", NOON, by)
    (taken,) = await store.take([take(0)], NOON)
    assert taken.remaining == (left if by != -3 else 7)


async def test_windows_that_are_over_are_forgotten(store: Store) -> None:
    await store.take([take(10)], NOON)
    await store.sweep(NOON + MINUTE + SECOND - 1)
    assert not (await store.take([take()], NOON))[0].granted
    await store.sweep(NOON + MINUTE + SECOND)
    assert (await store.take([take()], NOON))[0].granted
