"""What providers may be asked, at once and in a minute, so that their own limits are kept and not met.

The one rule: by name and with the time handed in; whoever waits is called back in the order in which they came.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from portbroker.policy import Limits, Quota

_MINUTE = 60.0


class Bucket:
    """An amount that fills up again within a minute."""

    __slots__ = ("_at", "_left", "_most")

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._left = float(most)
        self._at = now

    def resize(self, most: int, now: float) -> None:
        """Another amount a minute, as after a reload."""
        if most != self._most:
            self._fill(now)
            self._left, self._most = min(self._left, most), most

    def free_at(self, amount: float, now: float) -> float:
        """When `amount` can be taken; 0.0: now. What is more than all can be taken when it is full."""
        self._fill(now)
        lacking = min(amount, self._most) - self._left
        return now + lacking * _MINUTE / self._most if lacking > 1e-9 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take (or with less than nothing, give back); what was taken too much is paid off by waiting."""
        self._fill(now)
        self._left = min(self._left - amount, self._most)

    def _fill(self, now: float) -> None:
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._most / _MINUTE)
        self._at = now


class Gate:
    """The state of one quota."""

    def __init__(self) -> None:
        self.active = 0
        self.waiting: deque[Pass] = deque()
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None

    def set(self, quota: Quota, now: float) -> None:
        """Go by this quota from now on."""
        self._requests = _resized(self._requests, quota.requests_per_minute, now)
        self._tokens = _resized(self._tokens, quota.tokens_per_minute, now)

    def free_at(self, tokens: int, now: float) -> float:
        """When the minute's budgets let a call through; 0.0: now."""
        requests = self._requests.free_at(1, now) if self._requests else 0.0
        return max(requests, self._tokens.free_at(tokens, now) if self._tokens else 0.0)

    def spend(self, tokens: float, now: float, *, requests: int = 1) -> None:
        """Take from the minute's budgets."""
        if self._requests:
            self._requests.take(requests, now)
        if self._tokens:
            self._tokens.take(tokens, now)


def _resized(bucket: Bucket | None, most: int | None, now: float) -> Bucket | None:
    if most is None:
        return None
    if bucket is None:
        return Bucket(most, now)
    bucket.resize(most, now)
    return bucket


@dataclass(eq=False, slots=True)
class Pass:
    """Leave to make one attempt; while `queued`, not before `called` is called. Give it back once: `LimitBook.end`."""

    gates: tuple[Gate, ...]
    tokens: int
    queued: bool = False
    called: Callable[[], None] | None = field(default=None, repr=False)


class LimitBook:
    """The gates of all providers and keys, by name; they outlive the configuration that set their quotas.

    `share` is how many processes keep one limit together: each keeps an equal part of it.
    """

    def __init__(self, share: int = 1) -> None:
        self.share = share
        self._gates: dict[tuple[str, str], Gate] = {}

    def free_at(self, provider: str, key: str, limits: Limits, tokens: int, now: float) -> float:
        """When an attempt may begin, or queue up; 0.0: now, infinity: when somebody else has ended."""
        limits = _part_of(limits, self.share)
        whole, each = self._gate(provider, "", limits.provider, now), self._gate(provider, key, limits.each_key, now)
        if _is_full(each, limits.each_key) or (_is_full(whole, limits.provider) and _no_room(whole, limits.provider)):
            return float("inf")
        return max(whole.free_at(tokens, now), each.free_at(tokens, now))

    def begin(self, provider: str, key: str, limits: Limits, tokens: int, now: float) -> Pass:
        """Take what an attempt needs, when `free_at` said now."""
        limits = _part_of(limits, self.share)
        whole, each = self._gate(provider, "", limits.provider, now), self._gate(provider, key, limits.each_key, now)
        leave = Pass((whole, each), tokens)
        for gate in leave.gates:
            gate.spend(tokens, now)
        each.active += 1
        if _is_full(whole, limits.provider):
            leave.queued = True
            whole.waiting.append(leave)
        else:
            whole.active += 1
        return leave

    def end(self, leave: Pass, used: int | None, now: float) -> None:
        """The attempt is over, or was never begun. `used` are the tokens it took, where that is known."""
        whole, each = leave.gates
        for gate in leave.gates:
            gate.spend((leave.tokens if used is None else used) - leave.tokens, now, requests=0)
        each.active -= 1
        if leave.queued:
            whole.waiting.remove(leave)
        elif whole.waiting:
            _call(whole.waiting.popleft())  # the place is handed on, so that nobody can step in before
        else:
            whole.active -= 1

    def view(self) -> list[dict[str, object]]:
        """Who is busy, as plain values."""
        return [
            {"provider": provider, "key": key or None, "active": gate.active, "queued": len(gate.waiting)}
            for (provider, key), gate in self._gates.items()
        ]

    def _gate(self, provider: str, key: str, quota: Quota, now: float) -> Gate:
        gate = self._gates.get((provider, key))
        if gate is None:
            gate = self._gates[provider, key] = Gate()
        gate.set(quota, now)
        return gate


@lru_cache(maxsize=4096)
def _part_of(limits: Limits, share: int) -> Limits:
    """What one of so many processes may ask, which is at least something."""
    return Limits(_quota_part(limits.provider, share), _quota_part(limits.each_key, share))


def _quota_part(quota: Quota, share: int) -> Quota:
    def part(most: int | None) -> int | None:
        return None if most is None else max(1, most // share)

    return Quota(
        part(quota.concurrency),
        -(-quota.queue // share),
        part(quota.requests_per_minute),
        part(quota.tokens_per_minute),
    )


def _is_full(gate: Gate, quota: Quota) -> bool:
    return quota.concurrency is not None and (gate.active >= quota.concurrency or bool(gate.waiting))


def _no_room(gate: Gate, quota: Quota) -> bool:
    return len(gate.waiting) >= quota.queue


def _call(leave: Pass) -> None:
    leave.queued = False
    if leave.called is not None:
        leave.called()
