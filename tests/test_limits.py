"""Limits: never more than allowed, first come, first served, and minutes that fill up again."""

from hypothesis import given
from hypothesis import strategies as st

from portbroker.limits import LimitBook, Pass
from portbroker.policy import Limits, Quota

NONE = Quota()


def begin(book: LimitBook, limits: Limits, *, key: str = "k", tokens: int = 0, now: float = 0.0) -> Pass | None:
    """A pass, if there is one now."""
    return book.begin("P", key, limits, tokens, now) if book.free_at("P", key, limits, tokens, now) <= now else None


@given(concurrency=st.integers(1, 4), queue=st.integers(0, 4), script=st.lists(st.booleans(), max_size=60))
def test_never_more_than_allowed_are_under_way_or_wait_and_the_first_to_come_is_the_first_to_go(
    concurrency: int, queue: int, script: list[bool]
) -> None:
    book, limits = LimitBook(), Limits(Quota(concurrency, queue), NONE)
    active: list[Pass] = []
    waiting: list[Pass] = []
    for comes in script:
        if comes:
            leave = begin(book, limits)
            assert (leave is None) == (len(active) == concurrency and len(waiting) == queue)
            if leave is not None:
                assert leave.queued == (len(active) == concurrency)
                (waiting if leave.queued else active).append(leave)
        elif active:
            book.end(active.pop(0), None, 0.0)
            if waiting:
                assert not waiting[0].queued
                active.append(waiting.pop(0))
        assert all(leave.queued for leave in waiting)
        assert len(active) <= concurrency


def test_who_waits_is_called_when_it_is_its_turn_and_may_leave_before() -> None:
    book, limits, called = LimitBook(), Limits(Quota(1, 5), NONE), []
    first = begin(book, limits)
    assert first is not None
    waiting = [begin(book, limits) for _ in range(3)]
    for number, leave in enumerate(waiting):
        assert leave is not None
        leave.called = lambda number=number: called.append(number)
    assert waiting[0] is not None
    book.end(waiting[0], None, 0.0)
    book.end(first, None, 0.0)
    assert called == [1]


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 80)), max_size=60), st.integers(1, 20), st.integers(50, 200))
def test_no_minute_takes_more_than_twice_its_budget(calls: list[tuple[float, int]], requests: int, tokens: int) -> None:
    book, limits = LimitBook(), Limits(Quota(None, 0, requests, tokens), NONE)
    now, taken = 0.0, []
    for wait, amount in calls:
        now += wait
        if leave := begin(book, limits, tokens=amount, now=now):
            taken.append((now, min(amount, tokens)))
            book.end(leave, amount, now)
    for end, _ in taken:
        minute = [amount for moment, amount in taken if end - 60 < moment <= end]
        assert len(minute) <= 2 * requests + 1e-6
        assert sum(minute) <= 2 * tokens + 1e-6


def test_what_was_reserved_is_put_right_by_what_was_used() -> None:
    book, limits = LimitBook(), Limits(Quota(tokens_per_minute=600), NONE)
    leave = begin(book, limits, tokens=500)
    assert leave is not None
    book.end(leave, 100, 0.0)
    assert book.free_at("P", "k", limits, 500, 0.0) == 0.0
    leave = begin(book, limits, tokens=500)
    assert leave is not None
    book.end(leave, 620, 0.0)
    assert book.free_at("P", "k", limits, 10, 0.0) == 13.0  # 120 too many, at ten a second


def test_a_budget_that_a_reload_changes_holds_from_then_on() -> None:
    book, small = LimitBook(), Limits(Quota(requests_per_minute=2), NONE)
    assert [begin(book, small) is not None for _ in range(3)] == [True, True, False]
    large = Limits(Quota(requests_per_minute=60), NONE)
    assert begin(book, large, now=1.0) is None
    assert begin(book, large, now=2.0) is not None
    assert book.free_at("P", "k", Limits(NONE, NONE), 10**9, 2.0) == 0.0


def test_several_processes_keep_a_limit_together() -> None:
    limits = Limits(Quota(concurrency=7, queue=3, requests_per_minute=100), Quota(requests_per_minute=2))
    granted = 0
    for _ in range(3):
        book = LimitBook(share=3)
        passes: list[Pass] = []
        while book.free_at("A", f"key {len(passes)}", limits, 0, 0.0) == 0.0:
            passes.append(book.begin("A", f"key {len(passes)}", limits, 0, 0.0))
        assert sum(one.queued for one in passes) == 1
        granted += sum(not one.queued for one in passes)
    assert granted == 6
    book = LimitBook(share=3)
    book.end(book.begin("A", "k", limits, 0, 0.0), 0, 0.0)
    assert book.free_at("A", "k", limits, 0, 0.0) > 0.0  # its part of 2 is one, and never none
