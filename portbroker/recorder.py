"""Usage rows on their way from calls to the database: on disk first, then in batches.

A row is in the spool before the call's last byte goes out. While the database cannot be reached, batches are left
there; so are those of a process that was killed. Whoever runs records them later, and the id of a row keeps it from
counting twice. The one rule: recording never waits, and never fails a call.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf

import orjson

from portbroker.errors import StoreDown, StoreError
from portbroker.spool import Segment, Spool, orphans
from portbroker.store import Store
from portbroker.store.plain import restored
from portbroker.store.records import UsageEvent

log = logging.getLogger("portbroker.usage")

BATCH = 500
"""Rows that are recorded at once."""
WAIT = 0.2
"""Seconds that a row waits for others to be recorded with."""
LOOK = 3.0
"""Seconds after which rows of others, and of ourselves before an outage, are looked for."""
MOST = 10_000
"""Rows that are kept in memory alone, when the disk does not take them."""
_LAST = 5.0
"""Seconds in which the last rows may be recorded when the server ends; after it, they are in the spool."""


class Recorder:
    """Records rows from `start` to `stop`; those of `record` before that wait."""

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self.spool = spool
        self._rows: list[bytes] = []
        self._loose: list[bytes] = []  # those that are not on disk
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looked = -inf
        self._complained = -inf
        self._down = False
        self._stopping = False

    def record(self, row: bytes) -> None:
        """Keep a row, whose bytes are a `UsageEvent` as JSON."""
        if self.spool.append(row):
            self._rows.append(row)
        elif len(self._loose) < MOST:
            self._loose.append(row)
            self.spool.counts.unspooled += 1
        else:
            self._drop()
        waiting = len(self._rows) + len(self._loose)
        if waiting == 1:
            asyncio.get_running_loop().call_later(WAIT, self._due.set)
        elif waiting >= BATCH:
            self._due.set()
            if self._down and len(self._rows) >= BATCH:
                self._put_off()

    def _drop(self) -> None:
        """There is no room for a row; say so, once a minute: there may be thousands a second."""
        self.spool.counts.dropped += 1
        now = time.monotonic()
        if now - self._complained > 60:
            self._complained = now
            log.error("usage is lost, %d calls so far: neither disk nor memory has room", self.spool.counts.dropped)

    def _put_off(self) -> None:
        """Leave what is on disk there, until the database is back."""
        self._rows.clear()
        if segment := self.spool.seal():
            segment.release()

    # the task

    def start(self) -> None:
        """Record what comes, and what is left of before, into the database, which is open now."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Record what is there, if the database takes it."""
        if self._task is not None:
            self._stopping = True
            self._due.set()
            await asyncio.wait({self._task}, timeout=_LAST)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._put_off()
        if self._loose:
            log.error("%d calls could neither be recorded nor be written to the spool", len(self._loose))

    async def _run(self) -> None:
        while not await self._worked():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._due.wait()

    async def _worked(self) -> bool:
        """Record what there is; whether that was the last time."""
        last = self._stopping
        try:
            await self._work()
            self._down = False
        except StoreDown as error:
            if not self._down:
                log.warning("the database is away (%s): usage waits in %s", error, self.spool.directory)
            self._down = True
            await asyncio.sleep(0 if last else 1.0)
        except Exception:
            # A background loop: whatever is wrong with one batch, the next must be tried; the spool has the rows.
            log.exception("usage could not be recorded")
            await asyncio.sleep(0 if last else 1.0)
        return last

    async def _work(self) -> None:
        self._due.clear()
        await self._flush()
        if self._down or time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            for segment in orphans(self.spool.directory):
                await self._store_segment(segment, segment.records())

    async def _flush(self) -> None:
        rows, loose, segment = self._rows, self._loose, self.spool.seal()
        self._rows, self._loose = [], []
        try:
            await self._store_rows(loose)
            loose = []
        finally:
            self._loose[:0] = loose
            if loose and segment is not None:
                segment.release()
        if segment is not None:
            await self._store_segment(segment, rows)

    async def _store_segment(self, segment: Segment, rows: Sequence[bytes]) -> None:
        """Record what a segment holds, which is then gone; when that fails, it is there for the next who looks."""
        try:
            await self._store_rows(rows)
        except BaseException:
            segment.release()
            raise
        segment.discard()

    async def _store_rows(self, rows: Sequence[bytes]) -> None:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            try:
                await self._store.record_json(batch)
            except StoreDown:
                raise
            except (StoreError, ValueError, KeyError, TypeError):
                await self._one_by_one(batch)

    async def _one_by_one(self, rows: Iterable[bytes]) -> None:
        """Record those that can be, and put aside the others: one row must not keep the rest from being recorded."""
        for row in rows:
            try:
                await self._store.record([_event(row)])
            except StoreDown:
                raise
            except (StoreError, ValueError, KeyError, TypeError) as error:
                log.error("a usage row is refused: %s", error)  # noqa: TRY400 - the reason is the message
                self.spool.bury([row])


def _event(row: bytes) -> UsageEvent:
    return restored(UsageEvent, orjson.loads(row))
