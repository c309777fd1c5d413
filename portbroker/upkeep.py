"""What the database needs from time to time: money given back that nobody spent, and old calls forgotten.

The one rule: small steps, in no hurry; that several processes do the same does no harm.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from portbroker.errors import StoreDown, StoreError
from portbroker.store import Store

log = logging.getLogger("portbroker.usage")

SWEEP = 15.0
"""Seconds between two looks at reservations that have expired."""
FORGET = 3600.0
"""Seconds between two looks at calls that are too old."""
STEP = 1000
"""Calls that are forgotten at once."""
_PAUSE = 0.05


class Upkeep:
    """Keeps a store tidy from `start` to `stop`. `retention` is in seconds; None: calls are kept for ever."""

    def __init__(self, store: Store, retention: float | None, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; the database is open."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(_every(SWEEP, self.sweep)),
            loop.create_task(_every(FORGET, self.forget)),
        ]

    async def stop(self) -> None:
        """End at once: whatever is left is done by the next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sweep(self) -> None:
        """Give back what was held back for calls whose process died."""
        if freed := await self._store.sweep(int(self._clock() * 1e6)):
            log.info("%d reservations of calls that never ended were given back", freed)

    async def forget(self) -> None:
        """Forget the calls that are too old, a few at a time."""
        if self._retention is None:
            return
        before, forgotten = int((self._clock() - self._retention) * 1e6), 0
        while count := await self._store.forget(before, STEP):
            forgotten += count
            await asyncio.sleep(_PAUSE)  # calls that want to be recorded come first
        if forgotten:
            log.info("%d calls were older than they are kept", forgotten)


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await act()
        except StoreDown:
            log.debug("the database is away; upkeep waits")
        except StoreError:
            log.exception("upkeep failed")
        # Of several processes, not all at the same moment.
        await asyncio.sleep(seconds * (0.8 + 0.4 * random.random()))
