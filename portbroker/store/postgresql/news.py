"""Word of changes of keys, by LISTEN. The one rule: it only makes things quicker; a look each second is below it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from portbroker.store.database import POLL
from portbroker.store.postgresql.faults import FAULTS

CHANNEL = "portbroker_keys"


class News:
    """Tells those who wait that a key has changed. `connect` makes the connection; `lost` is told when it breaks."""

    def __init__(
        self, connect: "Callable[[], Awaitable[asyncpg.Connection[Any]]]", lost: Callable[[], Awaitable[None]]
    ) -> None:
        self._connect = connect
        self._lost = lost
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when a key has changed, and after a second in any case."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._heard.wait()

    async def stop(self) -> None:
        """Listen no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(*FAULTS):
                await self._listen_once()
                await self._lost()  # the server went away: so did the other connections, which nobody has noticed
            await asyncio.sleep(POLL)

    async def _listen_once(self) -> None:
        """Listen until the connection is lost."""
        connection = await self._connect()
        try:
            over = asyncio.Event()
            connection.add_termination_listener(lambda _: over.set())
            await connection.add_listener(CHANNEL, lambda *_: self._tell())
            self._tell()  # what changed meanwhile was told to nobody
            await over.wait()
        finally:
            connection.terminate()

    def _tell(self) -> None:
        heard, self._heard = self._heard, asyncio.Event()
        heard.set()
