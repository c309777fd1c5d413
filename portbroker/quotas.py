"""What a key may ask for in a minute and at once: asked before a call, corrected after it, told in headers.

On one machine the counters in shared memory are exact by themselves. Where replicas must be exact together, the windows
of a minute are in a place that they share, `Buckets`; while that cannot be reached, each machine counts for itself.
Calls under way are always counted on each machine. The one rule: whoever was granted a place gives it back once.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil, inf
from typing import Protocol

from portbroker.caller import Caller
from portbroker.counters import Counters, Grant
from portbroker.errors import CallError, StoreError
from portbroker.store.records import KeyLimits, Micros, Take, Taken

log = logging.getLogger("portbroker.limits")

_MINUTE = 60_000_000
PATIENCE = 2.0
"""Seconds that a call waits for the windows that replicas share."""


class Buckets(Protocol):
    """Windows that replicas share; see `Store`, which is one place for them."""

    async def take(self, takes: Sequence[Take], now: Micros) -> list[Taken]: ...
    async def correct(self, bucket: str, at: Micros, by: int, window: Micros = _MINUTE) -> None: ...


class Quotas(Protocol):
    """Where it is counted."""

    async def begin(self, caller: Caller, tokens: int) -> Grant:
        """Take a request, so many tokens and a place under way; when something is lacking, nothing."""

    def end(self, caller: Caller, grant: Grant, by: int) -> None:
        """The call is over; its tokens were so many more (less: negative) than were taken."""

    async def stop(self) -> None:
        """No call is under way; what was to be corrected is."""


class LocalQuotas:
    """Counted on this machine."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def begin(self, caller: Caller, tokens: int) -> Grant:
        return self._counters.begin(caller.id, caller.limits, tokens)

    def end(self, caller: Caller, grant: Grant, by: int) -> None:
        self._counters.end(caller.id, grant.second, by)

    async def stop(self) -> None:
        """Nothing is outstanding."""


class SharedQuotas:
    """Counted for all replicas together, calls under way but on this machine."""

    def __init__(self, counters: Counters, buckets: Buckets) -> None:
        self._counters = counters
        self._buckets = buckets
        self._down_until = -inf
        self._corrections: set[asyncio.Task[None]] = set()

    async def begin(self, caller: Caller, tokens: int) -> Grant:
        place = self._counters.begin(caller.id, KeyLimits(concurrent=caller.limits.concurrent), 0, requests=0)
        if place.lacking:
            return place
        grant: Grant | None = None
        try:
            grant = await self._in_minute(caller, tokens, place)
        finally:
            if grant is None or grant.lacking:
                self._counters.end(caller.id, place.second, 0)
        return grant or self._counters.begin(caller.id, caller.limits, tokens)

    async def _in_minute(self, caller: Caller, tokens: int, place: Grant) -> Grant | None:
        """What the shared windows say; None while nobody can say."""
        takes, now = _takes(caller, tokens), time.time_ns() // 1000
        if not takes:
            return place
        taken = await self._take(takes, now)
        if taken is None:
            return None
        left = {take.bucket.rpartition(":")[2]: one for take, one in zip(takes, taken, strict=True)}
        lacking = next((what for what, one in left.items() if not one.granted), "")
        wait = left[lacking].retry_after / 1e6 if lacking else 0.0
        if lacking == "tokens" and tokens > (caller.limits.tokens_per_minute or 0):
            wait = inf
        requests, spent = (left[what].remaining if what in left else None for what in ("requests", "tokens"))
        return Grant(lacking, wait, place.second, requests, spent, now)

    async def _take(self, takes: Sequence[Take], now: Micros) -> list[Taken] | None:
        """How it went; None while nobody can say."""
        if time.monotonic() < self._down_until:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._buckets.take(takes, now)
        except (StoreError, TimeoutError) as error:
            self._down_until = time.monotonic() + 1.0
            log.warning("limits are counted on each machine for itself: %s", str(error) or "no answer")
            return None

    def end(self, caller: Caller, grant: Grant, by: int) -> None:
        self._counters.end(caller.id, grant.second, 0 if grant.shared_at else by)
        if by and grant.shared_at and caller.limits.tokens_per_minute is not None:
            task = asyncio.get_running_loop().create_task(self._correct(f"{caller.id}:tokens", grant.shared_at, by))
            self._corrections.add(task)
            task.add_done_callback(self._corrections.discard)

    async def stop(self) -> None:
        await asyncio.gather(*self._corrections)

    async def _correct(self, bucket: str, at: Micros, by: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._buckets.correct(bucket, at, by)
        except (StoreError, TimeoutError):
            log.debug("the tokens of a call could not be corrected")  # the minute is over before long


def _takes(caller: Caller, tokens: int) -> list[Take]:
    wanted = ((1, caller.limits.requests_per_minute, "requests"), (tokens, caller.limits.tokens_per_minute, "tokens"))
    return [Take(f"{caller.id}:{what}", amount, limit) for amount, limit, what in wanted if limit is not None]


# what the client is told


def refusal(caller: Caller, grant: Grant, tokens: int, dialect: str) -> CallError:
    """The error for a call that was not granted its place."""
    limits = caller.limits
    headers = told(limits, grant, dialect)
    if grant.wait == inf:
        message = (f"the call needs about {tokens} tokens, and this API key has {limits.tokens_per_minute} a minute: "
                   "no waiting will help")  # fmt: skip
        return CallError(message, kind="rate_limit", status=429, headers={**headers, "x-should-retry": "false"})
    what = {
        "requests": f"{limits.requests_per_minute} requests a minute",
        "tokens": f"{limits.tokens_per_minute} tokens a minute",
        "concurrent": f"{limits.concurrent} calls at a time",
    }[grant.lacking]
    wait = max(1, ceil(grant.wait))
    message = f"this API key has {what}; try again in {wait} s"
    return CallError(message, kind="rate_limit", status=429, headers={**headers, "retry-after": str(wait)})


def told(limits: KeyLimits, grant: Grant, dialect: str) -> dict[str, str]:
    """The limits of a key and what is left of them, as clients of this dialect read it."""
    headers: dict[str, str] = {}
    spell = _anthropic if dialect == "anthropic.messages" else _openai
    for what, limit, left in (
        ("requests", limits.requests_per_minute, grant.requests_left),
        ("tokens", limits.tokens_per_minute, grant.tokens_left),
    ):
        if limit is not None and left is not None:
            wait = 60 if grant.lacking != what or grant.wait == inf else max(1, ceil(grant.wait))
            spell(headers, what, limit, left if left > 0 else 0, wait)
    return headers


_NAMES = {
    what: tuple(f"anthropic-ratelimit-{what}-{part}" for part in ("limit", "remaining", "reset"))
    + tuple(f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining", "reset"))
    for what in ("requests", "tokens")
}


def _anthropic(headers: dict[str, str], what: str, limit: int, left: int, wait: int) -> None:
    of_limit, remaining, reset, *_ = _NAMES[what]
    headers[of_limit], headers[remaining] = str(limit), str(left)
    headers[reset] = _moment(int(time.time()) + wait)


@lru_cache(maxsize=128)  # in one second, most calls tell the same
def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _openai(headers: dict[str, str], what: str, limit: int, left: int, wait: int) -> None:
    *_, of_limit, remaining, reset = _NAMES[what]
    headers[of_limit], headers[remaining] = str(limit), str(left)
    headers[reset] = f"{wait // 60}m{wait % 60}s" if wait >= 60 else f"{wait}s"
