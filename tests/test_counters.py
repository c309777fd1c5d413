"""Counters: exact in a process and across the processes that share them, whoever dies."""

import os
import signal
import time
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.counters import Counters
from portbroker.errors import GatewayError
from portbroker.store.records import KeyLimits


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def table(clock: Clock | None = None, columns: int = 1, rows: int = 64) -> Counters:
    return Counters(columns, rows, clock or Clock())


def test_a_hundred_a_minute_are_a_hundred_in_any_minute() -> None:
    clock, limits = Clock(), KeyLimits(requests_per_minute=100)
    counters, granted = table(clock), []
    for _ in range(1000):
        if not counters.begin("key", limits, 0).lacking:
            granted.append(clock.now)
        clock.now += 0.25
    assert len(granted) >= 300
    for start in granted:
        assert sum(start <= at < start + 60 for at in granted) <= 100


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 60)), max_size=200))
def test_tokens_never_pass_their_limit_in_any_minute(steps: list[tuple[float, int]]) -> None:
    clock, limits = Clock(), KeyLimits(tokens_per_minute=100)
    counters, granted = table(clock), []
    for wait, tokens in steps:
        clock.now += wait
        if not counters.begin("key", limits, tokens).lacking:
            granted.append((clock.now, tokens))
    for start, _ in granted:
        assert sum(tokens for at, tokens in granted if start <= at < start + 60) <= 100


def test_who_waits_as_long_as_told_is_served() -> None:
    clock, limits = Clock(), KeyLimits(requests_per_minute=2)
    counters = table(clock)
    counters.begin("key", limits, 0)
    clock.now += 7.5
    counters.begin("key", limits, 0)
    refused = counters.begin("key", limits, 0)
    assert (refused.lacking, refused.requests_left) == ("requests", 0)
    assert 0 < refused.wait <= 61
    clock.now += refused.wait
    assert not counters.begin("key", limits, 0).lacking


def test_what_is_left_is_told() -> None:
    counters = table()
    grant = counters.begin("key", KeyLimits(requests_per_minute=3, tokens_per_minute=100), 40)
    assert (grant.requests_left, grant.tokens_left) == (2, 60)
    assert counters.begin("other", KeyLimits(), 40).tokens_left is None


def test_the_last_request_leaves_none() -> None:
    assert table().begin("key", KeyLimits(requests_per_minute=1), 0).requests_left == 0


def test_a_call_with_more_tokens_than_a_minute_has_is_never_granted() -> None:
    assert table().begin("key", KeyLimits(tokens_per_minute=10), 11).wait == inf


def test_tokens_that_were_not_used_are_given_back_and_those_too_much_are_owed() -> None:
    counters, limits = table(), KeyLimits(tokens_per_minute=100)
    grant = counters.begin("key", limits, 90)
    counters.end("key", grant.second, -80)
    assert counters.begin("key", limits, 90).tokens_left == 0
    counters.end("key", grant.second, 500)
    refused = counters.begin("key", limits, 1)
    assert refused.lacking == "tokens"
    assert refused.tokens_left == -500


def test_what_comes_a_minute_too_late_corrects_nothing() -> None:
    clock, limits = Clock(), KeyLimits(tokens_per_minute=100)
    counters = table(clock)
    grant = counters.begin("key", limits, 90)
    clock.now += 70
    counters.begin("key", limits, 1)
    counters.end("key", grant.second, 90)
    assert counters.begin("key", limits, 0).tokens_left == 99


def test_calls_under_way_are_bounded_and_their_places_come_back() -> None:
    counters, limits = table(), KeyLimits(concurrent=2)
    grants = [counters.begin("key", limits, 0) for _ in range(3)]
    assert [grant.lacking for grant in grants] == ["", "", "concurrent"]
    counters.end("key", grants[0].second, 0)
    assert not counters.begin("key", limits, 0).lacking


def test_a_refused_call_takes_nothing() -> None:
    counters, limits = table(), KeyLimits(requests_per_minute=10, concurrent=1)
    counters.begin("key", limits, 0)
    for _ in range(20):
        assert counters.begin("key", limits, 0).requests_left == 9
    assert counters.under_way("key") == 1


def test_an_idle_row_is_given_to_another_key_and_a_busy_one_is_not() -> None:
    clock, limits = Clock(), KeyLimits(concurrent=1)
    counters = table(clock, rows=2)
    counters.begin("busy", limits, 0)
    idle = counters.begin("idle", limits, 0)
    with pytest.raises(GatewayError):
        counters.begin("third", limits, 0)
    counters.end("idle", idle.second, 0)
    clock.now += 1000
    assert not counters.begin("third", limits, 0).lacking
    assert counters.begin("busy", limits, 0).lacking == "concurrent"
    with pytest.raises(GatewayError):
        counters.begin("idle", limits, 0)


def in_children(count: int, work: Callable[[int], int]) -> list[int]:
    """What the work came to in each of so many processes that run at once."""
    pipes = []
    for number in range(count):
        ours, theirs = os.pipe()
        if not os.fork():
            os.write(theirs, b"%d" % work(number))
            os._exit(0)
        os.close(theirs)
        pipes.append(ours)
    results = [int(os.read(pipe, 32)) for pipe in pipes]
    for pipe in pipes:
        os.close(pipe)
        os.wait()
    return results


def test_a_thousand_a_minute_are_a_thousand_across_processes() -> None:
    counters = Counters(3)
    limits = KeyLimits(requests_per_minute=1000)

    def ask(number: int) -> int:
        counters.attach(number)
        return sum(not counters.begin("key", limits, 0).lacking for _ in range(1500))

    assert sum(in_children(3, ask)) == 1000


def test_processes_that_meet_a_key_for_the_first_time_at_once_share_its_row() -> None:
    counters = Counters(4)

    def ask(number: int) -> int:
        counters.attach(number)
        limits = KeyLimits(concurrent=3)
        return sum(not counters.begin(f"key {key}", limits, 0).lacking for key in range(50))

    assert sum(in_children(4, ask)) == 150


def test_the_calls_of_a_worker_that_was_killed_are_taken_back() -> None:
    counters, limits = Counters(2), KeyLimits(concurrent=5)
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        counters.attach(1)
        for _ in range(4):
            counters.begin("key", limits, 0)
        os.write(told, b"!")
        time.sleep(60)
    os.read(ready, 1)
    assert not counters.begin("key", limits, 0).lacking
    assert counters.begin("key", limits, 0).lacking == "concurrent"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    counters.take_back(1)
    assert counters.under_way("key") == 1
    os.close(ready)
    os.close(told)


def test_a_lock_is_taken_from_a_process_that_dies_with_it() -> None:
    counters, limits = Counters(2), KeyLimits(requests_per_minute=5)
    counters.begin("key", limits, 0)
    child = os.fork()
    if not child:
        counters.begin("key", limits, 0)
        counters._lock(counters._known["key"][0])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert counters.begin("key", limits, 0).requests_left == 2
