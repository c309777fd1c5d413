"""Word of changes of keys, between those who share a file. The one rule: nobody waits longer than a second."""

import asyncio
import contextlib

from portbroker.store.database import POLL


class News:
    """Wakes those who wait when a key has changed."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()

    def tell(self) -> None:
        """A key has changed."""
        heard, self._heard = self._heard, asyncio.Event()
        heard.set()

    async def wait(self) -> None:
        """Return when a key has changed, and after a second in any case."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._heard.wait()
