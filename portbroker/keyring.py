"""The keys that calls have shown, as far as this process knows them: by hash, asked of the database once.

A key that the database told of is trusted until some key has changed, which `watch` tells within a second; then each is
asked for again, at its next use or before. While the database cannot be reached, what is known stays known for
`known_for` seconds, revoked keys included, and what is not known is 503: nobody can tell that it is wrong.

The one rule: the memory is by the whole hash and bounded, and no answer of the database is kept longer than its
knowledge.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from portbroker.caller import Caller
from portbroker.errors import CallError, GatewayError, StoreError
from portbroker.keys import Pepper, good_until, refusal
from portbroker.store import Store
from portbroker.store.records import ApiKey

log = logging.getLogger("portbroker.keys")

MOST = 10_000
"""Keys that are remembered, and hashes of what is none."""
UNKNOWN_FOR = 5.0
"""Seconds in which what is no key is not asked for again, unless some key changes."""
HEARTBEAT = 5.0
"""Seconds after which the database is asked whether it is there, and whether a change was missed."""
DOWN_FOR = 1.0
"""Seconds in which a database that did not answer is not asked by calls."""
PATIENCE = 3.0
"""Seconds that a call waits for the database to say who asks."""
_MOST_ASKED = 256
"""Keys that are asked for at once: guesses must not keep the database from its work."""


@dataclass(eq=False, slots=True)
class Entry:
    """What is known of one hash. `refused` is why it proves nothing, `until` when that changes by itself (Unix s)."""

    hash: bytes
    key: ApiKey
    caller: Caller
    refused: str | None
    until: float
    version: int


class Keyring:
    """Tells whose key it is. `known_for` seconds without the database, known keys still work."""

    def __init__(
        self,
        store: Store,
        pepper: Pepper,
        *,
        known_for: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.pepper = pepper
        self._store = store
        self._known_for = known_for
        self._clock = clock
        self._wall = wall
        self._entries: dict[bytes, Entry] = {}
        self._unknown: dict[bytes, float] = {}
        self._asked: dict[bytes, asyncio.Task[Entry | None]] = {}
        self._version = 0  # counts the changes that were heard of
        self._stored: int | None = None
        self._trusted_until = -inf
        self._down_until = -inf
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # who asks

    async def caller(self, shown: str) -> Caller:
        """Whose key this is. Raises `CallError` (401) for one that proves nothing, `GatewayError` (503) when nobody can
        say."""
        hashed = self.pepper.hash(shown)
        entry = self._entries.get(hashed)
        if entry is None or entry.version != self._version or self._clock() > self._trusted_until:
            entry = await self._find(hashed, entry)
        if self._wall() >= entry.until:
            entry = self._keep(hashed, entry.key)
        if entry.refused is not None or not hmac.compare_digest(entry.hash, hashed):
            raise _refused(entry.refused or "")
        return entry.caller

    async def _find(self, hashed: bytes, known: Entry | None) -> Entry:
        """The entry as the database has it; as it was known, while the database cannot be asked."""
        now = self._clock()
        if known is None and now < self._unknown.get(hashed, -inf):
            raise _refused("this API key is not known here")
        if now >= self._down_until:  # else nobody need wait to find that out again
            try:
                found = await self._ask(hashed)
            except (StoreError, TimeoutError) as error:
                self._down_until = self._clock() + DOWN_FOR
                log.warning("keys cannot be looked up: %s", str(error) or "the database takes too long")
            else:
                if found is None:
                    raise _refused("this API key is not known here")
                return found
        if known is None or self._clock() > self._trusted_until:
            raise _nobody_can_say()
        return known

    async def _ask(self, hashed: bytes) -> Entry | None:
        """Ask the database, once for all who wait for the same."""
        task = self._asked.get(hashed)
        if task is None:
            if len(self._asked) >= _MOST_ASKED:
                raise _nobody_can_say()
            task = self._asked[hashed] = asyncio.get_running_loop().create_task(self._look_up(hashed))
            task.add_done_callback(lambda done: self._answered(hashed, done))
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(task)

    def _answered(self, hashed: bytes, task: "asyncio.Task[Entry | None]") -> None:
        del self._asked[hashed]
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody does any more, it was not lost but too late

    async def _look_up(self, hashed: bytes) -> Entry | None:
        await self._opened.wait()
        version = self._version  # what changes while we ask, is asked for again
        key = await self._store.key_by_hash(hashed)
        self._entries.pop(hashed, None)
        if key is not None:
            return self._keep(hashed, key, version)
        if version == self._version:
            _bound(self._unknown)
            self._unknown[hashed] = self._clock() + UNKNOWN_FOR
        return None

    def _keep(self, hashed: bytes, key: ApiKey, version: int | None = None) -> Entry:
        """Remember what a key is worth now."""
        now = int(self._wall() * 1e6)
        refused = refusal(key, hashed, now)
        ends = good_until(key, hashed) if refused is None else None
        until = inf if ends is None else ends / 1e6
        entry = Entry(hashed, key, Caller.of(key), refused, until, self._version if version is None else version)
        if hashed not in self._entries:
            _bound(self._entries)
        self._entries[hashed] = entry
        return entry

    # what changes

    def start(self) -> None:
        """Ask the database, which is open now, and follow its changes. Calls that came before have waited."""
        self._opened.set()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work()) for work in (self._watch, self._beat, self._renew)]

    async def stop(self) -> None:
        """Follow them no longer."""
        tasks = [*self._tasks, *self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def heard(self, stored: int) -> None:
        """The database is there, and this is the version of its keys."""
        self._trusted_until = self._clock() + self._known_for
        if stored != self._stored:
            self._stored = stored
            self._version += 1
            self._unknown.clear()
            self._changed.set()

    async def _watch(self) -> None:
        while True:
            with suppress(StoreError):
                async for stored in self._store.watch():
                    self.heard(stored)
            await asyncio.sleep(1.0)

    async def _beat(self) -> None:
        """A net below `watch`: what it misses is found out; and what is known is confirmed."""
        while True:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    self.heard(await self._store.key_version())
            await asyncio.sleep(HEARTBEAT)

    async def _renew(self) -> None:
        """Ask again for what has changed before it is used: a key that was revoked just before the database went away
        must not be known as a good one."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for hashed, entry in list(self._entries.items()):
                if entry.version != self._version:
                    with suppress(StoreError, GatewayError, TimeoutError):
                        await self._ask(hashed)


def _bound(memory: dict[bytes, Entry] | dict[bytes, float]) -> None:
    """Forget what was remembered first, when there is no room for more."""
    while len(memory) >= MOST:
        del memory[next(iter(memory))]


def _refused(why: str) -> CallError:
    return CallError(why or "this API key is not known here", kind="auth", status=401, code="invalid_api_key")


def _nobody_can_say() -> GatewayError:
    message = "the gateway cannot check API keys at the moment; try again"
    return GatewayError(message, kind="api", status=503, headers={"retry-after": "2"})
