"""Strategies: shares, turns, sessions, speed and price, over pools compiled from files."""

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.facts import Facts
from portbroker.snapshot import Pool, Target
from portbroker.standing import HALF_LIFE, Latencies
from portbroker.strategies import order
from portbroker.turns import Turns
from tests.calls import asking

ASKED = asking("fast")


class Stand:
    """A standing as a test says: seconds to rest and seconds to the first token, by the provider's name."""

    def __init__(self, resting: Mapping[str, float] | None = None, latency: Mapping[str, float] | None = None) -> None:
        self.turns = Turns()
        self.rests = dict(resting or {})
        self.latencies = dict(latency or {})

    def resting(self, target: Target) -> float:
        return self.rests.get(target.provider.name, 0.0)

    def latency(self, target: Target) -> float | None:
        return self.latencies.get(target.provider.name)


def pool(strategy: str, weights: list[int | None], rule: str = "", extra: str = "") -> Pool:
    """A pool of one target a weight; they are called A, B, C…"""
    names = [chr(65 + at) for at in range(len(weights))]
    providers = "".join(f"  - {{name: {n}, base_url: 'http://{n}:1/v1'}}\n" for n in names)
    targets = ", ".join(
        f"{{provider: {n}, model: m-{n.lower()}{'' if w is None else f', weight: {w}'}}}"
        for n, w in zip(names, weights, strict=True)
    )
    models = f"models:\n  - {{match: fast, strategy: {strategy}, targets: [{targets}]{rule}}}\n"
    text = f"providers:\n{providers}{models}{extra}"
    loaded = load_text(text.encode(), file="f.yaml", directory=Path("/nonexistent"), environ={})
    return compile_snapshot(loaded).resolve(ASKED)


def names(targets: Any) -> str:
    return "".join(target.provider.name for target in targets)


SHARES = st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any)


@settings(max_examples=15, deadline=None)
@given(SHARES)
def test_weights_hold_within_two_per_cent_over_ten_thousand_calls(weights: list[int]) -> None:
    chosen, stand = pool("weighted", list(weights)), Stand()
    counted = Counter(order(chosen, ASKED, stand)[0].provider.name for _ in range(10_000))
    for at, weight in enumerate(weights):
        assert abs(counted[chr(65 + at)] / 10_000 - weight / sum(weights)) < 0.02


@settings(max_examples=15, deadline=None)
@given(SHARES)
def test_weights_hold_among_those_that_are_awake(weights: list[int]) -> None:
    chosen, stand = pool("weighted", [*weights, 9]), Stand({chr(65 + len(weights)): 1.0})
    counted = Counter(order(chosen, ASKED, stand)[0].provider.name for _ in range(1000))
    for at, weight in enumerate(weights):
        assert abs(counted[chr(65 + at)] / 1000 - weight / sum(weights)) < 0.02


def test_a_target_of_weight_0_is_tried_when_the_others_fail() -> None:
    chosen, stand = pool("weighted", [0, 2, 1]), Stand()
    assert {names(order(chosen, ASKED, stand))[-1] for _ in range(30)} == {"A"}
    stand.rests = {"B": 1.0, "C": 2.0}
    assert names(order(chosen, ASKED, stand)) == "ABC"


def test_nobody_goes_several_times_while_others_wait() -> None:
    chosen, stand = pool("weighted", [5, 1, 1]), Stand()
    assert "".join(names(order(chosen, ASKED, stand))[0] for _ in range(7)) == "AABACAA"


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 40))
def test_turns_go_round(size: int, skipped: int) -> None:
    chosen, stand = pool("round_robin", [None] * size), Stand()
    for _ in range(skipped):
        order(chosen, ASKED, stand)
    firsts = [names(order(chosen, ASKED, stand))[0] for _ in range(size * 3)]
    assert all(count == 3 for count in Counter(firsts).values())
    assert firsts[:size] == firsts[size : 2 * size]


def test_the_next_in_turn_is_tried_when_the_first_fails() -> None:
    chosen, stand = pool("round_robin", [None] * 3), Stand()
    assert [names(order(chosen, ASKED, stand)) for _ in range(4)] == ["ABC", "BCA", "CAB", "ABC"]


@given(
    st.sampled_from(["priority", "weighted", "round_robin", "least_latency", "lowest_cost", "sticky"]),
    st.lists(st.floats(0, 9), min_size=3, max_size=3),
)
@settings(deadline=None)
def test_every_target_has_one_place_and_those_that_rest_come_last(strategy: str, rests: list[float]) -> None:
    weight = 1 if strategy in ("weighted", "sticky") else None
    chosen = pool(strategy, [weight] * 3)
    stand = Stand(dict(zip("ABC", rests, strict=True)))
    ordered = names(order(chosen, ASKED, stand))
    assert sorted(ordered) == list("ABC")
    resting = [stand.rests[name] for name in ordered if stand.rests[name]]
    assert [bool(stand.rests[name]) for name in ordered] == sorted(bool(stand.rests[name]) for name in ordered)
    assert resting == sorted(resting)


# sessions


def session(name: str) -> Facts:
    return asking("fast", headers={"x-session-id": name})


@settings(deadline=None)
@given(st.integers(0, 999), st.lists(st.sets(st.sampled_from("ABC")), max_size=12))
def test_a_session_stays_where_it_is_until_its_target_rests_and_does_not_return(
    number: int, script: list[set[str]]
) -> None:
    chosen, stand = pool("sticky", [1, 1, 1]), Stand()
    at = names(order(chosen, session(f"s{number}"), stand))[0]
    for resting in script:
        stand.rests = dict.fromkeys(resting, 1.0)
        first = names(order(chosen, session(f"s{number}"), stand))[0]
        if len(resting) < 3:
            assert first not in resting
            assert at in resting or first == at
            at = first


def test_sessions_are_shared_out_by_weight_and_every_process_agrees() -> None:
    chosen = pool("sticky", [3, 1])
    firsts = [names(order(chosen, session(f"s{number}"), Stand()))[0] for number in range(2000)]
    assert 0.7 < Counter(firsts)["A"] / 2000 < 0.8
    assert firsts == [names(order(chosen, session(f"s{number}"), Stand()))[0] for number in range(2000)]


def test_a_session_survives_a_reload_that_adds_a_target() -> None:
    stand, before, after = Stand(), pool("sticky", [1, 1]), pool("sticky", [1, 1, 1])
    kept = [names(order(before, session(f"s{number}"), stand))[0] for number in range(200)]
    assert kept == [names(order(after, session(f"s{number}"), stand))[0] for number in range(200)]
    anew = [names(order(after, session(f"s{number}"), Stand()))[0] for number in range(200)]
    assert 0 < anew.count("C") < 200


def test_few_sessions_move_when_a_target_is_added() -> None:
    before, after = pool("sticky", [1, 1]), pool("sticky", [1, 1, 1])
    for number in range(200):
        was, now = (names(order(chosen, session(f"s{number}"), Stand()))[0] for chosen in (before, after))
        assert now in (was, "C")


def test_what_keeps_calls_together_is_the_session_then_the_user_then_the_prompt() -> None:
    chosen = pool("sticky", [1] * 6)
    prompt = {"system": "S", "messages": [{"role": "user", "content": "one"}]}
    longer = {**prompt, "messages": [*prompt["messages"], {"role": "assistant", "content": "x"}]}

    def spread(calls: list[Facts]) -> int:
        return len({names(order(chosen, call, Stand()))[0] for call in calls})

    assert spread([asking("fast", prompt), asking("fast", longer)]) == 1
    assert spread([asking("fast", {**prompt, "system": str(n)}) for n in range(40)]) > 1
    by_user = [asking("fast", {"system": str(n), "metadata": {"user_id": "u"}}) for n in range(40)]
    assert spread(by_user) == 1
    assert spread([asking("fast", prompt, {"session_id": str(n)}) for n in range(40)]) > 1
    assert spread([asking("fast", {**prompt, "prompt_cache_key": str(n)}) for n in range(40)]) > 1
    assert spread([asking("fast", prompt, caller=str(n)) for n in range(40)]) > 1


def test_what_keeps_calls_together_can_be_chosen() -> None:
    chosen = pool("sticky", [1] * 6, ", sticky: {by: header.X-Team}")
    calls = [asking("fast", {"system": str(n)}, {"x-team": "a", "x-session-id": str(n)}) for n in range(40)]
    assert len({names(order(chosen, call, Stand()))[0] for call in calls}) == 1
    others = [asking("fast", {"system": str(n)}) for n in range(40)]
    assert len({names(order(chosen, call, Stand()))[0] for call in others}) > 1


def test_what_is_remembered_is_bounded() -> None:
    turns = Turns(pools=3, sessions=2)
    for number in range(100):
        turns.next(f"p{number}", {f"t{number}": 1, "x": 1})
        turns.keep(str(number).encode(), "x")
        turns.next("same", {f"t{number}": 1, "x": 1})
    assert [turns.kept(str(number).encode()) for number in (0, 97, 98, 99)] == [None, None, "x", "x"]
    assert len(turns._pools) <= 3
    assert max(map(len, turns._pools.values())) <= 13


# speed and price


def test_the_quicker_of_two_is_first_and_the_quickest_next() -> None:
    chosen = pool("least_latency", [None] * 3)
    stand = Stand(latency={"A": 3.0, "B": 1.0, "C": 2.0})
    random.seed(1)
    seen = Counter(names(order(chosen, ASKED, stand)) for _ in range(3000))
    assert set(seen) == {"BCA", "CBA"}
    assert 0.6 < seen["BCA"] / 3000 < 0.73


def test_a_target_that_was_never_measured_is_measured() -> None:
    chosen = pool("least_latency", [None] * 2)
    assert names(order(chosen, ASKED, Stand(latency={"A": 0.1}))) == "BA"


def test_a_target_that_was_slow_once_is_tried_again() -> None:
    chosen, now = pool("least_latency", [None] * 2), 0.0
    latencies = Latencies(lambda: now)
    slow, quick = chosen.targets
    latencies.heard(slow, 8.0)
    for _ in range(10):
        latencies.heard(quick, 1.0)
        now += HALF_LIFE / 2
    assert (latencies.of(slow) or 0) < (latencies.of(quick) or 0)


def test_the_average_follows_what_is_measured() -> None:
    latencies, (target, other) = Latencies(lambda: 0.0), pool("priority", [None] * 2).targets
    assert latencies.of(target) is None
    latencies.heard(target, 1.0)
    assert latencies.of(target) == 1.0
    for _ in range(30):
        latencies.heard(target, 2.0)
    assert abs((latencies.of(target) or 0) - 2.0) < 0.01
    assert latencies.of(other) is None


CATALOG = """
catalog:
  m-a: {price: {input: 1, output: 10}}
  m-b: {price: {input: 5, output: 1}}
"""


def test_the_cheapest_for_this_call_is_first_and_unknown_prices_last() -> None:
    chosen = pool("lowest_cost", [None] * 3, extra=CATALOG)
    long = asking("fast", {"max_tokens": 10, "messages": [{"role": "user", "content": "x" * 100_000}]})
    short = asking("fast", {"max_tokens": 10_000, "messages": []})
    assert names(order(chosen, long, Stand())) == "ABC"
    assert names(order(chosen, short, Stand())) == "BAC"
    assert names(order(chosen, asking("fast"), Stand())) == "BAC"
