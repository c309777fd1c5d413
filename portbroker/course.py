"""Which target, with which key, is tried next for one call; when to wait; when to give up.

    next() ─▶ Try ─▶ succeeded() | failed() ─▶ next() …     Wait(until)     Stop(error)

The one rule: this decides and does nothing: no I/O, no task, and the clock is `Health`'s.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Literal, TypeAlias

from portbroker.errors import CallError, GatewayError, Kind, ProviderError
from portbroker.failure import worst
from portbroker.health import Fault, Health, Place
from portbroker.limits import LimitBook, Pass
from portbroker.pace import Pace
from portbroker.policy import Retry
from portbroker.rate_limits import without_rate_limits
from portbroker.retries import Budget, Remedy, backoff, remedy_for, resting_place, told_to_wait
from portbroker.snapshot import Credential, Pool, Target

Why = Literal["first", "next target", "next key", "same target", "fallback", "hedge"]


@dataclass(eq=False, slots=True)
class Entry:
    """A target that may still be tried, by the rules of the pool that it came from."""

    target: Target
    pool: Pool
    left: int
    times: int = 0
    not_before: float = 0.0
    refused: tuple[str, ...] = ()
    """Ids of keys that the provider has refused in this call."""
    why: Why = "next target"


@dataclass(eq=False, slots=True)
class Try:
    """Make an attempt. `last`: nobody else could answer. `leave` may say to queue first."""

    entry: Entry
    target: Target
    pool: Pool
    key: Credential
    why: Why
    began: float
    last: bool
    probed: tuple[Place, ...] = ()
    leave: Pass | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again in so many seconds, or as soon as somebody is known to be well again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """There is nothing more to try."""

    error: GatewayError


Step: TypeAlias = Try | Wait | Stop


@dataclass(eq=False, slots=True)
class Common:
    """What all calls share: what is known of providers, what is spent, who is busy. It outlives every snapshot."""

    health: Health = field(default_factory=Health)
    budget: Budget = field(default_factory=Budget)
    limits: LimitBook = field(default_factory=LimitBook)
    pace: Pace = field(default_factory=Pace)


class Course:
    """The course of one call through the targets of its pool, in the order given.

    `fallbacks` gives the targets that take over when the call is refused for what it is. `tokens` estimates the call.
    `ends` is when the call must not be tried any more.
    """

    def __init__(
        self,
        targets: Sequence[tuple[Target, Pool]],
        retry: Retry,
        common: Common,
        *,
        fallbacks: Callable[[Kind], Iterable[tuple[Target, Pool]]],
        tokens: Callable[[], int],
        ends: float,
    ) -> None:
        self._retry = retry
        self._health = common.health
        self._budget = common.budget
        self._limits = common.limits
        self._fallbacks = fallbacks
        self._tokens = tokens
        self._ends = ends
        self._entries: list[Entry] = []
        self._targets = targets
        self._unseen = len(targets)  # so many of the last of them; few calls ever look at more than the first
        self._fallen = False
        self._made = 0
        self._waited = 0.0
        self._waits_from = -1.0
        self._failures: dict[Entry, GatewayError] = {}
        self._budget.call(self._health.clock())

    # what to do

    def next(self) -> Step:
        """The next step. After a `Try`, say how it went before asking again."""
        now = self._health.clock()
        if self._waits_from >= 0.0:
            self._stop_waiting(now)
        if self._made >= self._retry.attempts or now >= self._ends:
            return self._stop(now, inf)
        soonest, number = inf, 0
        while (entry := self._candidate(number)) is not None:
            number += 1
            key, when = self._key(entry, now)
            if key is None or not self._affordable(entry, now):
                continue
            if when <= now:
                return self._try(entry, key, now)
            soonest = min(soonest, when)
        if soonest - now <= min(self._patience(now), self._retry.retry_after_cap):
            self._waits_from = now
            return Wait(soonest - now)
        return self._stop(now, soonest)

    def hedge(self, beside: Try) -> Try | None:
        """A second target to try beside one that takes its time, if there is one and the budget has room."""
        now = self._health.clock()
        if self._made >= self._retry.attempts or not self._budget.left(self._retry, now):
            return None
        number = 0
        while (entry := self._candidate(number)) is not None:
            number += 1
            key, when = self._key(entry, now)
            if entry is not beside.entry and key is not None and when <= now and not entry.times:
                entry.why = "hedge"
                return self._try(entry, key, now)
        return None

    def _candidate(self, number: int) -> Entry | None:
        """What may still be tried, by number, the best first."""
        if number < len(self._entries):
            return self._entries[number]
        return self._see() if self._unseen else None

    def _see(self) -> Entry:
        target, pool = self._targets[-self._unseen]
        self._unseen -= 1
        self._entries.append(entry := Entry(target, pool, 1 + self._retry.same_target))
        return entry

    def _patience(self, now: float) -> float:
        """Seconds that the call may still spend waiting."""
        return min(self._retry.wait - self._waited, self._ends - now)

    def queues(self) -> float:
        """Seconds that an attempt may queue, from now until `queued`."""
        self._waits_from = now = self._health.clock()
        return max(0.0, self._patience(now))

    def queued(self) -> None:
        """The wait in the queue is over, one way or the other."""
        self._stop_waiting(self._health.clock())

    def _stop_waiting(self, now: float) -> None:
        self._waited += now - self._waits_from
        self._waits_from = -1.0

    # which target and key

    def _key(self, entry: Entry, now: float) -> tuple[Credential | None, float]:
        """The key to use and when it can be: the first in turn that can be now, else the one that can be soonest."""
        keys = entry.target.credentials
        if len(keys) == 1:
            return keys[0], self._ready(entry, keys[0], now)
        best: tuple[Credential | None, float] = (None, inf)
        turn = self._health.turn(entry.target.provider.name)
        for number in range(len(keys)):
            key = keys[(turn + number) % len(keys)]
            if key.id in entry.refused:
                continue
            when = self._ready(entry, key, now)
            if when <= now:
                return key, when
            if when < best[1]:
                best = key, when
        return best

    def _ready(self, entry: Entry, key: Credential, now: float) -> float:
        target, provider = entry.target, entry.target.provider
        when = self._health.awake_at(provider.name, key.id, target.model, now)
        if provider.limits is not None:
            free = self._limits.free_at(provider.name, key.id, provider.limits, self._tokens(), now)
            when = max(when, free)
        return max(when, entry.not_before) if entry.times else when

    def _affordable(self, entry: Entry, now: float) -> bool:
        return not self._made or not self._is_paid(entry) or self._budget.left(self._retry, now)

    def _is_paid(self, entry: Entry) -> bool:
        """What may only add to somebody's trouble is paid from the budget; the first attempt of a call never is."""
        return entry.why in ("same target", "hedge") or self._health.failing(entry.target.provider.name)

    def _try(self, entry: Entry, key: Credential, now: float) -> Try:
        target, provider = entry.target, entry.target.provider
        if self._made and self._is_paid(entry):
            self._budget.pay(now)
        self._made += 1
        step = Try(
            entry, target, entry.pool, key,
            why=entry.why if self._made > 1 else "first",
            began=now,
            last=len(self._entries) + self._unseen == 1 or self._made >= self._retry.attempts,
        )  # fmt: skip
        step.probed = self._health.begin(provider.name, key.id, target.model, now)
        if provider.limits is not None:
            step.leave = self._limits.begin(provider.name, key.id, provider.limits, self._tokens(), now)
        return step

    # how it went

    def succeeded(self, step: Try) -> float:
        """The attempt has brought something good, after so many seconds. `ended` is still to come."""
        now = self._health.clock()
        target, seconds = step.target, now - step.began
        self._health.spoke(target.provider.name, step.key.id, target.model, step.probed, now)
        self._health.latencies.heard(target, seconds)
        return seconds

    def ended(self, step: Try, error: GatewayError | None, used: int | None) -> None:
        """A good attempt is over; `error` is what broke it off, `used` its tokens, as far as they are known."""
        now = self._health.clock()
        provider = step.target.provider
        if error is not None and remedy_for(error, step.target.model).strikes:
            self._health.failed(provider.name, provider.breaker, _fault(error), (), now)
        else:
            self._health.ended(provider.name, provider.breaker, now)
        self._give_back(step, used, now)

    def abandoned(self, step: Try) -> None:
        """Nobody wants to know how it would have gone: the client left, or another answer came first."""
        self._health.leave(step.probed)
        self._give_back(step, None, self._health.clock())

    def passed_over(self, step: Try, error: GatewayError) -> None:
        """The attempt was never made: the target is too busy."""
        self.abandoned(step)
        self._made -= 1
        self._failures[step.entry] = error
        self._entries.remove(step.entry)

    def failed(self, step: Try, error: GatewayError) -> None:
        """The attempt failed before it brought anything good."""
        now = self._health.clock()
        while self._unseen:
            self._see()
        self._give_back(step, 0 if isinstance(error, CallError) else None, now)
        remedy = remedy_for(error, step.target.model)
        self._tell(step, remedy, error, now)
        same = remedy.same and error.headers.get("x-should-retry") != "false"
        if len(self._entries) > 1 or self._failures.keys() - {step.entry}:
            # of several accounts, the limits of one say nothing
            error.headers = without_rate_limits(error.headers)
        self._failures[step.entry] = error  # of several from one target, the last says how it stands
        self._made -= isinstance(error, CallError)
        if remedy.fallback:
            self._fall_back(step.entry, error.kind)
        else:
            self._go_on(step, remedy, now, same=same)

    def _give_back(self, step: Try, used: int | None, now: float) -> None:
        if step.leave is not None:
            self._limits.end(step.leave, used, now)
            step.leave = None

    def _tell(self, step: Try, remedy: Remedy, error: GatewayError, now: float) -> None:
        """What the failure says of provider, key and model."""
        provider, key, model = step.target.provider, step.key.id, step.target.model
        if isinstance(error, CallError):
            self._health.leave(step.probed)
            return
        fault = _fault(error)
        place = resting_place(remedy, error, provider.name, key, model)
        rests = self._rest(place, remedy, error, fault, now)
        if remedy.strikes:
            self._health.failed(provider.name, provider.breaker, fault, step.probed, now)
        else:
            well = tuple(probed for probed in step.probed if not rests or probed != place)
            self._health.spoke(provider.name, key, model, well, now)
            self._health.ended(provider.name, provider.breaker, now)

    def _rest(self, place: Place, remedy: Remedy, error: GatewayError, fault: Fault, now: float) -> bool:
        if not remedy.rests:
            return False
        if (told := told_to_wait(error)) is not None:
            self._health.rest(place, told, fault, now, guarded=remedy.guarded)
        elif remedy.first:
            self._health.rest_growing(place, remedy.first, remedy.longest, fault, now, guarded=remedy.guarded)
        else:
            return False
        return True

    def _fall_back(self, entry: Entry, kind: Kind) -> None:
        """The targets of the fallbacks take over; among those, the next one does."""
        if self._fallen:
            self._entries.remove(entry)
            return
        self._fallen = True
        self._entries = [
            Entry(target, pool, 1 + self._retry.same_target, why="fallback") for target, pool in self._fallbacks(kind)
        ]

    def _go_on(self, step: Try, remedy: Remedy, now: float, *, same: bool) -> None:
        """Put the entry where it belongs from now on, if it does anywhere."""
        entry = step.entry
        self._entries.remove(entry)
        entry.times += 1
        if remedy.guarded:
            entry.refused = (*entry.refused, step.key.id)
        if remedy.key and self._other_key(entry, step.key, now):
            entry.why = "next key"
            self._entries.insert(0, entry)
        elif not remedy.target:
            self._entries.clear()
        elif same and entry.left > 1:
            entry.left -= 1
            entry.why = "same target"
            entry.not_before = now + backoff(self._retry, 1 + self._retry.same_target - entry.left, self._health.chance)
            self._entries.append(entry)

    def _other_key(self, entry: Entry, key: Credential, now: float) -> bool:
        """Whether the provider can be asked at once with another key."""
        name, model = entry.target.provider.name, entry.target.model
        return any(
            other is not key
            and other.id not in entry.refused
            and self._health.awake_at(name, other.id, model, now) <= now
            for other in entry.target.credentials
        )

    # the end

    def _stop(self, now: float, soonest: float) -> Stop:
        """The most telling error: of the attempts; without any, of what keeps every target from being asked."""
        if self._failures:
            return Stop(worst(list(self._failures.values())))
        absences = [self._absence(entry, now) for entry in self._entries]
        kept_away = [absence for absence in absences if absence is not None]
        if not kept_away:
            return Stop(ProviderError("the time that the call may take is over", kind="timeout"))
        error = worst(kept_away)
        if soonest < inf:
            error.headers = {"retry-after": str(ceil(soonest - now))}
        return Stop(error)

    def _absence(self, entry: Entry, now: float) -> ProviderError | None:
        """Why a target is not asked, if anything keeps it from being asked."""
        target, name = entry.target, entry.target.provider.name
        key, when = self._key(entry, now)
        fault = self._health.fault(name, key.id if key else "", target.model, now)
        if fault is not None:
            message = f"{name} is left alone for {when - now:.3g} s: {fault.message}"
            return ProviderError(message, kind=fault.kind, status=fault.status, provider=name)
        if when == inf:
            message = f"{name} is busy: as many calls as its limits allow are under way and waiting"
            return ProviderError(message, kind="overloaded", provider=name)
        if when > now:
            message = f"{name} has taken what its limits allow in a minute"
            return ProviderError(message, kind="rate_limit", status=429, provider=name)
        return None


def _fault(error: GatewayError) -> Fault:
    return Fault(error.kind, error.status, error.message)
