"""The course of a call: random scripts of outcomes and times against what must always hold. No socket, no sleeping."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.course import Common, Course, Step, Stop, Try, Wait
from portbroker.errors import CallError, GatewayError, Kind, ProviderError
from portbroker.health import PROBE_HOLDS, Fault, Health
from portbroker.policy import Retry
from portbroker.retries import REMEDIES
from portbroker.snapshot import Pool, Snapshot, Target

FILE = """
breaker: {failures: 3, cool_down: 2s, longest: 30s}
providers:
  - {name: A, base_url: "http://a/v1", api_keys: [k1, k2], models: [m], priority: 1}
  - {name: B, base_url: "http://b/v1", api_key: k3, models: [m], priority: 2}
  - {name: C, base_url: "http://c/v1", models: [m], priority: 3}
  - {name: Long, base_url: "http://d/v1", models: [long]}
"""


def snapshot(text: str = FILE) -> Snapshot:
    return compile_snapshot(load_text(text.encode(), file="t.yaml", directory=Path("/nonexistent"), environ={}))


SNAPSHOT = snapshot()


def targets(*names: str, of: Snapshot = SNAPSHOT) -> list[tuple[Target, Pool]]:
    made = [of.target(of.providers[name], "m") for name in names]
    return [(target, Pool("m", tuple(made), "test")) for target in made]


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def common(clock: Clock, chance: float = 1.0) -> Common:
    return Common(Health(clock, lambda: chance))


def course(
    shared: Common, *names: str, retry: Retry | None = None, fallbacks: tuple[str, ...] = (), ends: float = 600.0
) -> Course:
    return Course(
        targets(*names), retry or Retry(), shared,
        fallbacks=lambda _: targets(*fallbacks), tokens=lambda: 100, ends=shared.health.clock() + ends,
    )  # fmt: skip


def error(kind: Kind, status: int = 0, message: str = "no", **headers: str) -> ProviderError:
    return ProviderError(
        message, kind=kind, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def tried(step: Step) -> tuple[str, str]:
    assert isinstance(step, Try), step
    return step.target.provider.name, step.why


def waits(step: Step) -> float:
    assert isinstance(step, Wait), step
    return step.seconds


def stopped(step: Step) -> GatewayError:
    assert isinstance(step, Stop), step
    return step.error


# A model of providers: what happens to a request that is sent at some time.

OUTCOMES: dict[str, GatewayError | None] = {
    "ok": None,
    "api": error("api", 500),
    "refused connection": error("api"),
    "overloaded": error("overloaded", 529),
    "timeout": error("timeout"),
    "limited": error("rate_limit", 429, retry_after="7"),
    "limited for long": error("rate_limit", 429, retry_after="900"),
    "key refused": error("auth", 401),
    "no model": error("not_found", 404, "the model m does not exist"),
    "conflict": error("api", 409),
}
PHASES = st.lists(
    st.tuples(st.floats(0.1, 20.0), st.sampled_from(sorted(OUTCOMES)), st.floats(0.01, 3.0)), min_size=1, max_size=6
)


@dataclass
class Provider:
    """Behaves in turn as its phases say: for so long, with such an outcome, after so many seconds."""

    phases: list[tuple[float, str, float]]

    def answer(self, elapsed: float) -> tuple[str, float]:
        span = elapsed % sum(length for length, _, _ in self.phases)
        for length, outcome, takes in self.phases:
            if span < length:
                return outcome, takes
            span -= length
        return self.phases[-1][1:]


@dataclass
class Told:
    """What the world has told of a call so far."""

    course: Course
    attempts: int = 0
    waited: float = 0.0
    lost: GatewayError | None = None
    answered: bool = False


@dataclass
class World:
    """Calls, providers and time. Every step is checked against what must hold."""

    providers: dict[str, Provider]
    retry: Retry
    clock: Clock = field(default_factory=Clock)
    calls: list[Told] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    barred: dict[tuple[str, str], float] = field(default_factory=dict)
    probes: dict[tuple[str, str, str], float] = field(default_factory=dict)
    again: list[float] = field(default_factory=list)
    began: list[float] = field(default_factory=list)

    def run(self, arrivals: list[float]) -> None:
        self.common = common(self.clock)
        self.start = self.clock.now
        self.queue: list[tuple[float, int, Told | None, Try | None]] = []
        for after in arrivals:
            self.later(after, None, None)
        while self.queue:
            self.clock.now, _, told, ended = heapq.heappop(self.queue)
            if told is None:
                self.began.append(self.clock.now)
                told = Told(course(self.common, *self.providers, retry=self.retry))
                self.calls.append(told)
            if ended is None or self.goes_on(told, ended):
                self.step(told)

    def later(self, seconds: float, told: Told | None, ended: Try | None) -> None:
        heapq.heappush(self.queue, (self.clock.now + seconds, next(self.numbers), told, ended))

    def step(self, told: Told) -> None:
        step = told.course.next()
        if isinstance(step, Try):
            self.check(told, step)
            _, takes = self.providers[step.target.provider.name].answer(self.clock.now - self.start)
            self.later(takes, told, step)
        elif isinstance(step, Wait):
            told.waited += step.seconds
            assert told.waited <= self.retry.wait + 1e-6
            assert step.seconds > 0
            self.later(step.seconds, told, None)
        else:
            told.lost = step.error

    def check(self, told: Told, step: Try) -> None:
        now, name = self.clock.now, step.target.provider.name
        told.attempts += 1
        assert told.attempts <= self.retry.attempts
        assert now >= self.barred.get((name, step.key.id), 0.0), "a key that rests was used"
        for place in step.probed:
            assert now >= self.probes.get(place, 0.0) + PROBE_HOLDS, "two calls probe at once"
            self.probes[place] = now
        if step.why == "same target":
            self.again.append(now)
            calls = sum(1 for began in self.began if began > now - 10)
            paid = sum(1 for moment in self.again if moment > now - 9)
            assert paid <= max(self.retry.budget_least, self.retry.budget_share * calls + 1)

    def goes_on(self, told: Told, step: Try) -> bool:
        name, key = step.target.provider.name, step.key.id
        outcome, _ = self.providers[name].answer(step.began - self.start)
        for place in step.probed:
            self.probes.pop(place, None)
        failure = OUTCOMES[outcome]
        if failure is None:
            told.answered = True
            told.course.succeeded(step)
            told.course.ended(step, None, None)
            return False
        if outcome.startswith("limited"):
            self.barred[name, key] = max(self.clock.now + float(failure.headers["retry-after"]),
                                         self.barred.get((name, key), 0.0))  # fmt: skip
        if outcome == "key refused" and self.clock.now >= self.barred.get((name, key), 0.0):
            self.barred[name, key] = self.clock.now + 59.9
        told.course.failed(step, error(failure.kind, failure.status, failure.message, **dict(failure.headers)))
        return True


ARRIVALS = st.lists(st.floats(0.0, 60.0), min_size=1, max_size=120)
RETRIES = st.builds(
    Retry, attempts=st.integers(1, 8), same_target=st.integers(0, 3), budget_share=st.floats(0, 0.5),
    budget_least=st.integers(0, 5), wait=st.floats(0.1, 20.0),
)  # fmt: skip


@settings(deadline=None)
@given(a=PHASES, b=PHASES, retry=RETRIES, arrivals=ARRIVALS)
def test_whatever_happens_nobody_who_rests_is_asked_and_every_bound_holds(
    a: list[tuple[float, str, float]], b: list[tuple[float, str, float]], retry: Retry, arrivals: list[float]
) -> None:
    world = World({"A": Provider(a), "B": Provider(b)}, retry)
    world.run(arrivals)
    assert len(world.calls) == len(arrivals)
    assert all(told.answered != (told.lost is not None) for told in world.calls)


@settings(deadline=None)
@given(a=PHASES, b=PHASES, arrivals=ARRIVALS, least=st.integers(0, 5))
def test_no_call_is_lost_while_one_provider_is_sound(
    a: list[tuple[float, str, float]], b: list[tuple[float, str, float]], arrivals: list[float], least: int
) -> None:
    retry = Retry(attempts=8, same_target=1, budget_share=0.0, budget_least=least)
    world = World({"A": Provider(a), "B": Provider(b), "C": Provider([(1.0, "ok", 0.1)])}, retry)
    world.run(arrivals)
    assert all(told.answered for told in world.calls)


def test_an_outage_of_all_is_not_multiplied() -> None:
    down = [(1.0, "api", 0.05)]
    world = World({"A": Provider(down), "B": Provider(down)}, Retry(wait=0.5))
    world.run([i / 100 for i in range(3000)])
    attempts = sum(told.attempts for told in world.calls)
    assert attempts < 0.5 * len(world.calls)
    kinds = Counter(told.lost.kind for told in world.calls if told.lost)
    assert set(kinds) == {"api"}


# Examples of what is done about each kind of failure.


def test_the_table_has_every_kind_of_error() -> None:
    assert set(Kind.__args__) < set(REMEDIES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["api", "overloaded", "timeout", "rate_limit", "auth", "billing", "permission"])
def test_what_a_provider_is_to_blame_for_goes_to_the_next_target(kind: Kind) -> None:
    way = course(common(Clock()), "B", "C")
    first = way.next()
    assert tried(first) == ("B", "first")
    way.failed(first, error(kind))  # type: ignore[arg-type]
    assert tried(way.next()) == ("C", "next target")


@pytest.mark.parametrize("kind", ["invalid", "not_found", "too_large"])
def test_what_the_caller_is_to_blame_for_is_not_tried_elsewhere(kind: Kind) -> None:
    way = course(common(Clock()), "B", "C")
    first = way.next()
    way.failed(first, failure := error(kind))  # type: ignore[arg-type]
    assert stopped(way.next()) is failure


def test_a_call_that_cannot_be_put_to_a_target_is_put_to_the_next_and_counts_as_no_attempt() -> None:
    way = course(common(Clock()), "B", "C", retry=Retry(attempts=1))
    first = way.next()
    way.failed(first, CallError("loss"))  # type: ignore[arg-type]
    assert tried(way.next())[0] == "C"


@pytest.mark.parametrize("kind", ["auth", "billing", "permission", "rate_limit"])
def test_the_next_key_is_tried_at_once_on_the_same_provider(kind: Kind) -> None:
    clock = Clock()
    way = course(shared := common(clock), "A", "C")
    first = way.next()
    way.failed(first, error(kind))  # type: ignore[arg-type]
    second = way.next()
    assert tried(second) == ("A", "next key")
    assert first.key.id != second.key.id  # type: ignore[union-attr]
    way.failed(second, error(kind))  # type: ignore[arg-type]
    assert tried(way.next())[0] == "C"
    assert tried(course(shared, "A", "C").next())[0] == "C"


def test_keys_are_used_in_turn() -> None:
    shared = common(Clock())
    used = Counter(step.key.name for _ in range(10) if isinstance(step := course(shared, "A").next(), Try))
    assert used == {"1": 5, "2": 5}


def test_a_key_that_was_refused_rests_longer_each_time_and_one_call_tries_it_again() -> None:
    clock = Clock()
    shared = common(clock)
    rests = []
    for _ in range(6):
        way = course(shared, "B")
        step = way.next()
        assert isinstance(step, Try)
        way.failed(step, error("auth", 401))
        rests.append(float(stopped(course(shared, "B").next()).headers["retry-after"]))
        clock.now += rests[-1]
        assert shared.health.resting(targets("B")[0][0]) == 0
    assert rests == [60, 120, 240, 480, 900, 900]


def test_without_another_target_the_same_one_is_tried_again_after_a_backoff() -> None:
    clock = Clock()
    way = course(common(clock, 0.5), "B", retry=Retry(same_target=2, attempts=9))
    backoffs = []
    for _ in range(2):
        way.failed(way.next(), error("api", 500))  # type: ignore[arg-type]
        backoffs.append(waits(way.next()))
        clock.now += backoffs[-1]
    assert backoffs == pytest.approx([0.05, 0.1])
    step = way.next()
    assert tried(step) == ("B", "same target")
    way.failed(step, error("api", 500))  # type: ignore[arg-type]
    assert stopped(way.next()).status == 500


def test_a_provider_that_says_not_to_try_again_is_not_tried_again() -> None:
    way = course(common(Clock()), "B")
    way.failed(way.next(), error("api", 500, x_should_retry="false"))  # type: ignore[arg-type]
    assert stopped(way.next()).status == 500


def test_a_retry_after_is_waited_for_up_to_the_cap_and_kept_in_any_case() -> None:
    clock = Clock()
    shared = common(clock)
    way = course(shared, "B")
    way.failed(way.next(), error("rate_limit", 429, retry_after_ms="2500"))  # type: ignore[arg-type]
    assert waits(way.next()) == pytest.approx(2.5)
    clock.now += 2.5
    step = way.next()
    way.failed(step, error("rate_limit", 429, retry_after="120"))  # type: ignore[arg-type]
    assert stopped(way.next()).headers["retry-after"] == "120"
    other = stopped(course(shared, "B").next())
    assert (other.kind, other.status, other.headers["retry-after"]) == ("rate_limit", 429, "120")
    assert "B is left alone for 120 s" in str(other)


def test_a_limit_that_names_the_model_rests_the_key_for_that_model_alone() -> None:
    shared = common(Clock())
    way = course(shared, "B", "C")
    way.failed(way.next(), error("rate_limit", 429, "Rate limit reached for m on tokens per min", retry_after="60"))  # type: ignore[arg-type]
    other = SNAPSHOT.target(SNAPSHOT.providers["B"], "other")
    assert shared.health.resting(other) == 0
    assert shared.health.resting(targets("B")[0][0]) == 60


def test_an_unknown_model_rests_at_that_provider_only() -> None:
    shared = common(Clock())
    way = course(shared, "A", "C")
    way.failed(way.next(), ProviderError("no", kind="not_found", status=404, code="model_not_found"))  # type: ignore[arg-type]
    assert tried(way.next())[0] == "C"
    assert shared.health.resting(targets("A")[0][0]) == 60
    assert shared.health.resting(SNAPSHOT.target(SNAPSHOT.providers["A"], "other")) == 0


def test_failures_in_a_row_open_the_breaker_and_one_call_at_a_time_probes_it() -> None:
    clock = Clock()
    shared = common(clock)
    for _ in range(3):
        way = course(shared, "B", "C")
        way.failed(way.next(), error("api", 500))  # type: ignore[arg-type]
    assert tried(course(shared, "B", "C").next())[0] == "C"
    clock.now += 2.0
    probe = course(shared, "B", "C")
    step = probe.next()
    assert tried(step)[0] == "B"
    assert tried(course(shared, "B", "C").next())[0] == "C"
    probe.failed(step, error("api", 500))  # type: ignore[arg-type]
    clock.now += 3.9
    assert tried(course(shared, "B", "C").next())[0] == "C"  # it rests for twice as long now
    clock.now += 0.2
    probe = course(shared, "B", "C")
    step = probe.next()
    assert tried(step)[0] == "B"
    probe.succeeded(step)  # type: ignore[arg-type]
    assert tried(course(shared, "B", "C").next())[0] == "B"


def test_a_probe_whose_client_leaves_makes_room_for_the_next() -> None:
    clock = Clock()
    shared = common(clock)
    shared.health.rest(("B", "", ""), 1.0, Fault("api", 0, "down"), clock.now, guarded=True)
    clock.now += 1.0
    way = course(shared, "B", "C")
    way.abandoned(way.next())  # type: ignore[arg-type]
    assert tried(course(shared, "B", "C").next())[0] == "B"


def test_a_slow_probe_does_not_keep_others_away_for_ever() -> None:
    clock = Clock()
    shared = common(clock)
    shared.health.rest(("B", "", ""), 1.0, Fault("api", 0, "down"), clock.now, guarded=True)
    clock.now += 1.0
    course(shared, "B").next()
    other = course(shared, "B")
    assert waits(other.next()) == pytest.approx(PROBE_HOLDS)
    clock.now += PROBE_HOLDS
    assert tried(other.next())[0] == "B"


def test_a_share_of_failures_opens_the_breaker_too() -> None:
    clock = Clock()
    shared = common(clock)
    for number in range(20):
        way = course(shared, "B", "C")
        step = way.next()
        assert tried(step)[0] == "B"
        if number % 2:
            way.failed(step, error("api", 500))  # type: ignore[arg-type]
        else:
            way.succeeded(step)  # type: ignore[arg-type]
            way.ended(step, None, None)  # type: ignore[arg-type]
        clock.now += 0.5
    assert tried(course(shared, "B", "C").next())[0] == "C"


def test_streams_that_break_after_their_first_content_count_as_failures() -> None:
    clock = Clock()
    shared = common(clock)
    for _ in range(20):
        way = course(shared, "B", "C")
        step = way.next()
        way.succeeded(step)  # type: ignore[arg-type]
        way.ended(step, error("api"), None)  # type: ignore[arg-type]
    assert tried(course(shared, "B", "C").next())[0] == "C"


def test_a_refusal_for_what_the_call_is_goes_to_the_fallbacks_and_comes_back_if_they_fail() -> None:
    clock = Clock()
    way = course(common(clock), "A", "B", fallbacks=("C", "Long"))
    overflow = error("context", 400, "prompt is too long")
    way.failed(way.next(), overflow)  # type: ignore[arg-type]
    step = way.next()
    assert tried(step) == ("C", "fallback")
    way.failed(step, error("api", 500))  # type: ignore[arg-type]
    step = way.next()
    assert tried(step) == ("Long", "fallback")
    way.failed(step, error("context", 400, "prompt is too long"))  # type: ignore[arg-type]
    clock.now += waits(way.next())
    step = way.next()
    assert tried(step) == ("C", "same target")
    way.failed(step, error("api", 500))  # type: ignore[arg-type]
    assert stopped(way.next()) is overflow


def test_all_that_rest_are_waited_for_and_the_nearest_is_tried_first() -> None:
    clock = Clock()
    shared = common(clock)
    for name, seconds in (("B", 6.0), ("C", 4.0)):
        shared.health.rest((name, "", ""), seconds, Fault("api", 500, "down"), clock.now)
    way = course(shared, "B", "C")
    assert waits(way.next()) == pytest.approx(4.0)
    clock.now += 4.0
    assert tried(way.next()) == ("C", "first")


def test_nobody_is_waited_for_longer_than_the_call_may_take() -> None:
    clock = Clock()
    shared = common(clock)
    shared.health.rest(("B", "", ""), 4.0, Fault("api", 500, "down"), clock.now)
    assert stopped(course(shared, "B", ends=3.0).next()).headers == {"retry-after": "4"}
    assert stopped(course(shared, "B", retry=Retry(wait=3.0)).next()).headers == {"retry-after": "4"}


def test_what_was_known_does_not_depend_on_the_configuration() -> None:
    clock = Clock()
    shared = common(clock)
    way = course(shared, "B", "C")
    way.failed(way.next(), error("auth", 401))  # type: ignore[arg-type]
    again = snapshot(FILE + "\n# the same, reloaded\n")
    assert shared.health.resting(again.target(again.providers["B"], "m")) == 60
    changed = snapshot(FILE.replace("k3", "k4"))
    assert shared.health.resting(changed.target(changed.providers["B"], "m")) == 0  # another key deserves a try


def test_a_hedge_goes_to_another_target_and_is_paid_for() -> None:
    clock = Clock()
    shared = common(clock)
    poor = Retry(budget_least=1, budget_share=0.0)
    way = course(shared, "B", "C", retry=poor)
    first = way.next()
    beside = way.hedge(first)  # type: ignore[arg-type]
    assert beside is not None
    assert tried(beside) == ("C", "hedge")
    other = course(shared, "B", "C", retry=poor)
    assert other.hedge(other.next()) is None  # type: ignore[arg-type]


def test_the_view_tells_who_rests_and_why() -> None:
    clock = Clock()
    shared = common(clock)
    way = course(shared, "B", "C")
    way.failed(way.next(), error("rate_limit", 429, "slow down", retry_after="60"))  # type: ignore[arg-type]
    (rest,) = shared.health.view()["rests"]
    assert {name: rest[name] for name in ("provider", "model", "state", "seconds", "kind", "message")} == {
        "provider": "B", "model": None, "state": "resting", "seconds": 60.0, "kind": "rate_limit",
        "message": "slow down",
    }  # fmt: skip
    assert "k3" not in str(shared.health.view())
