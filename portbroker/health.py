"""What is known of each provider, key and model, by name: who rests and for how long, who is fast.

    awake ── fails often enough ──▶ resting ── cool-down ends ──▶ half-open: one call at a time is let through
      ▲                                ▲                              │ it succeeds: awake │ it fails
      └────────────────────────────────┴──────────────────────────────┴────────────────────┘ (rests longer)

A place is (provider, key, model); "" stands for any. The one rule: nothing of a snapshot is kept here, so that what is
known survives every reload, and nothing happens by itself: the clock is handed in, and there is no task.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portbroker.errors import Kind
from portbroker.policy import Breaker
from portbroker.snapshot import Target
from portbroker.standing import Latencies
from portbroker.turns import Turns
from portbroker.window import Window

Place: TypeAlias = tuple[str, str, str]

PROBE_HOLDS = 5.0
"""Seconds that one call through a half-open place keeps others waiting; a slow answer must not hold up a sound one."""
KEPT = 4096
"""Rests of keys and models that are remembered."""
_RECORDS = 256
"""Records of providers from which on those are dropped that say nothing any more."""
_FORGOTTEN = 3600.0
"""Seconds after its end that a rest is forgotten, and with it how long the next one would be."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why somebody rests."""

    kind: Kind
    status: int
    message: str


@dataclass(slots=True)
class Rest:
    """A place that is left alone until `until`. `times` is how often in a row. `guarded`: half-open afterwards."""

    until: float
    fault: Fault
    times: int
    guarded: bool
    probed: float = float("-inf")

    def awake_at(self, now: float) -> float:
        """When a call may go there."""
        if self.guarded and now >= self.until:
            return self.probed + PROBE_HOLDS if now < self.probed + PROBE_HOLDS else 0.0
        return self.until if now < self.until else 0.0


@dataclass(slots=True)
class Record:
    """How a provider did of late: failures in a row, and a window of ends and failures."""

    in_a_row: int = 0
    window: Window = field(default_factory=lambda: Window(30.0))
    length: float = 30.0


class Health:
    """The one place where that is kept. Times are those of `clock`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self.clock = clock
        self.chance = chance
        self.turns = Turns()
        self.latencies = Latencies(clock)
        self.watchers: set[Callable[[], Any]] = set()
        """Called when a rest ended before its time."""
        self._rests: dict[Place, Rest] = {}
        self._records: dict[str, Record] = {}
        self._rotation: dict[str, int] = {}

    # what strategies ask

    def resting(self, target: Target) -> float:
        """Seconds until a target may be called, with any of its keys; 0 for one that may."""
        if not self._rests:
            return 0.0
        now, name = self.clock(), target.provider.name
        awake = min(self.awake_at(name, key.id, target.model, now) for key in target.credentials)
        return max(0.0, awake - now)

    def latency(self, target: Target) -> float | None:
        """Seconds that a target takes to its first content, of late."""
        return self.latencies.of(target)

    # asked before an attempt

    def awake_at(self, provider: str, key: str, model: str, now: float) -> float:
        """When a call may go there; 0.0: now."""
        if not self._rests:
            return 0.0
        return max((rest.awake_at(now) for _, rest in self._resting(provider, key, model)), default=0.0)

    def fault(self, provider: str, key: str, model: str, now: float) -> Fault | None:
        """Why no call may go there now: the reason of the longest rest."""
        rests = [rest for _, rest in self._resting(provider, key, model) if rest.awake_at(now)]
        return max(rests, key=lambda rest: rest.awake_at(now)).fault if rests else None

    def failing(self, provider: str) -> bool:
        """Whether a provider's last two calls failed, so that one more may only add to its trouble."""
        record = self._records.get(provider)
        return record is not None and record.in_a_row >= 2

    def turn(self, provider: str) -> int:
        """Whose turn it is among the keys of a provider."""
        self._rotation[provider] = turn = self._rotation.get(provider, -1) + 1
        return turn

    # told of an attempt

    def begin(self, provider: str, key: str, model: str, now: float) -> tuple[Place, ...]:
        """The half-open places that this attempt is the probe of."""
        if not self._rests:
            return ()
        probed = []
        for place, rest in self._resting(provider, key, model):
            if rest.guarded and now >= rest.until:
                rest.probed = now
                probed.append(place)
        return tuple(probed)

    def leave(self, probed: tuple[Place, ...]) -> None:
        """An attempt ended without telling anything: its client left, or another answer came first."""
        for place in probed:
            if rest := self._rests.get(place):
                rest.probed = float("-inf")
                self._tell()

    def spoke(self, provider: str, key: str, model: str, probed: tuple[Place, ...], now: float) -> None:
        """An attempt brought something good: what it probed is awake again."""
        if self._rests:
            for place, rest in list(self._resting(provider, key, model)):
                if place in probed or (not rest.guarded and now >= rest.until):
                    self.wake(place)
        if record := self._records.get(provider):
            record.in_a_row = 0

    def ended(self, provider: str, breaker: Breaker, now: float) -> None:
        """An attempt ended well."""
        self._record(provider, breaker).window.add(now, 1)

    def failed(self, provider: str, breaker: Breaker, fault: Fault, probed: tuple[Place, ...], now: float) -> None:
        """An attempt failed in a way that speaks against the provider."""
        record = self._record(provider, breaker)
        record.in_a_row += 1
        record.window.add(now, 1, 1)
        place = (provider, "", "")
        if place not in self._rests:
            if self._too_often(record, breaker, now):
                self._cool_down(place, breaker, fault, now)
        elif place in probed:
            self._cool_down(place, breaker, fault, now)

    def rest(self, place: Place, seconds: float, fault: Fault, now: float, *, guarded: bool = False) -> None:
        """Leave a place alone for a time that is known; of two rests at once, the longer counts."""
        before, until = self._rests.get(place), now + seconds
        if before is None:
            self._make_room(now)
        elif now < before.until:
            before.guarded = before.guarded or guarded
            if until > before.until:
                before.until, before.fault = until, fault
            return
        self._rests[place] = Rest(until, fault, before.times + 1 if before else 1, guarded)

    def rest_growing(
        self, place: Place, first: float, longest: float, fault: Fault, now: float, *, guarded: bool = False
    ) -> None:
        """Leave a place alone, each time in a row for twice as long: several calls that fail at once are one time."""
        before = self._rests.get(place)
        if before is not None and now < before.until and before.guarded >= guarded:
            return
        self.rest(place, min(longest, first * 2.0 ** min(before.times if before else 0, 30)), fault, now,
                  guarded=guarded)  # fmt: skip

    def wake(self, place: Place) -> None:
        """Whatever rested there is awake."""
        if self._rests.pop(place, None) is not None:
            if place[1:] == ("", ""):
                self._records.pop(place[0], None)
            self._tell()

    def forget(self, provider: str) -> None:
        """This name means another place from now on: what is known of it is of no use."""
        self._records.pop(provider, None)
        for place in [place for place in self._rests if place[0] == provider]:
            self.wake(place)

    # for people

    def view(self) -> dict[str, Any]:
        """All of it as plain values: who rests, why, for how many seconds more; how providers did."""
        now = self.clock()
        rests = [
            {"provider": place[0], "key": place[1] or None, "model": place[2] or None,
             "state": "resting" if now < rest.until else "half-open" if rest.guarded else "awake",
             "seconds": round(max(0.0, rest.until - now), 3), "times": rest.times,
             "kind": rest.fault.kind, "status": rest.fault.status, "message": rest.fault.message}
            for place, rest in self._rests.items()
        ]  # fmt: skip
        providers = {}
        for name, record in self._records.items():
            ended, failed = record.window.sums(now)
            providers[name] = {"failures_in_a_row": record.in_a_row, "calls": ended, "failed": failed}
        return {"rests": rests, "providers": providers}

    # inside

    def _resting(self, provider: str, key: str, model: str) -> Iterator[tuple[Place, Rest]]:
        for place in ((provider, "", ""), (provider, key, ""), (provider, "", model), (provider, key, model)):
            if rest := self._rests.get(place):
                yield place, rest

    def _record(self, provider: str, breaker: Breaker) -> Record:
        record = self._records.get(provider)
        if record is None or record.length != breaker.window:
            in_a_row = record.in_a_row if record else 0
            if len(self._records) >= _RECORDS:
                self._forget_idle()
            record = self._records[provider] = Record(in_a_row, Window(breaker.window), breaker.window)
        return record

    def _forget_idle(self) -> None:
        """Drop the records that say nothing any more: of providers that are gone, mostly."""
        now = self.clock()
        resting = {place[0] for place in self._rests}
        self._records = {n: r for n, r in self._records.items() if n in resting or r.window.sums(now)[0]}

    def _too_often(self, record: Record, breaker: Breaker, now: float) -> bool:
        if record.in_a_row >= breaker.failures:
            return True
        ended, failed = record.window.sums(now)
        return ended >= breaker.least_calls and failed >= ended * breaker.error_rate

    def _cool_down(self, place: Place, breaker: Breaker, fault: Fault, now: float) -> None:
        """Full jitter: the calls of many gateways must not come back at one moment."""
        before = self._rests.get(place)
        grown = min(breaker.longest, breaker.cool_down * 2.0 ** min(before.times if before else 0, 30))
        self.rest(place, grown * self.chance(), fault, now, guarded=True)

    def _make_room(self, now: float) -> None:
        if len(self._rests) >= KEPT or any(rest.until < now - _FORGOTTEN for rest in self._first_rests()):
            kept = {place: rest for place, rest in self._rests.items() if rest.until >= now - _FORGOTTEN}
            while len(kept) >= KEPT:
                del kept[next(iter(kept))]
            self._rests = kept

    def _first_rests(self) -> list[Rest]:
        return [rest for rest, _ in zip(self._rests.values(), range(8), strict=False)]

    def _tell(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()
