"""How much each key has asked for in the last minute and how many of its calls are under way, on this machine.

The memory is made before the workers are forked and shared by all of them: a row for each key, with a slot for each
second, and for each worker a column of calls under way, so that those of one that died can be taken back. A row is
locked while it is changed, by a lock that the kernel takes from whoever dies. The one rule: in any span of a minute no
more is granted than the limit.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import tempfile
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from portbroker.errors import GatewayError
from portbroker.store.records import KeyLimits

SLOTS = 61  # one more than a minute has seconds: what came within a second counts until a whole minute is over
_SECOND, _TOTALS, _REQUESTS, _TOKENS = 2, 3, 5, 5 + SLOTS
_ROW = _TOKENS + SLOTS + 1  # words of eight bytes; the first two are the key
_EMPTY = memoryview(bytes(8 * _ROW)).cast("q")
_ID = struct.Struct("qq")


@dataclass(slots=True)
class Grant:
    """What came of asking: `lacking` is empty, or what there was not enough of.

    `wait` are the seconds until there may be enough (infinity: never), `second` what the tokens are counted under. The
    rest is what the minute has left, where there is a limit. `shared_at` is when it was taken from the windows that
    replicas share (microseconds); 0: it was not.
    """

    lacking: str
    wait: float
    second: int
    requests_left: int | None
    tokens_left: int | None
    shared_at: int = 0


class Counters:
    """The shared memory. `columns` are the workers that there may be, `rows` the keys that may be active at a time."""

    def __init__(self, columns: int = 1, rows: int = 16384, clock: Callable[[], float] = time.monotonic) -> None:
        self.workers = columns
        self._rows = rows
        self._columns = rows * _ROW  # where the calls under way begin
        # Pages that nobody touches take no memory.
        self._words = memoryview(mmap.mmap(-1, 8 * rows * (_ROW + columns))).cast("q")
        self._locks = self._locks_file() if columns > 1 else None
        self._clock = clock
        self._known: dict[str, tuple[int, int, int]] = {}
        self._column = self._columns

    def _locks_file(self) -> int:
        """A file whose bytes are locked and never written."""
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def attach(self, worker: int) -> None:
        """Count calls under way in the column of this worker from now on. It must be nobody else's."""
        self._column = self._columns + worker * self._rows

    def take_back(self, worker: int) -> None:
        """This worker is gone, and so are its calls."""
        column = self._columns + worker * self._rows
        for row in range(self._rows):
            if self._words[column + row]:
                self._words[column + row] = 0  # whose lock could be held for it, is gone

    # what a call does

    def begin(self, key: str, limits: KeyLimits, tokens: int, requests: int = 1) -> Grant:
        """Take so many requests and tokens and a place under way; when something is lacking, nothing."""
        while True:
            row, first, second = self._known.get(key) or self._find(key)
            base = row * _ROW
            self._lock(row)
            try:
                if self._words[base] == first and self._words[base + 1] == second:
                    return self._begin(base, row, limits, tokens, requests)
            finally:
                self._unlock(row)
            del self._known[key]  # it was idle, and another key has its row now

    def end(self, key: str, second: int, by: int) -> None:
        """A call that was granted its place is over; its tokens were so many more (less: negative)."""
        row = (self._known.get(key) or self._find(key))[0]  # a row with calls under way is given to nobody else
        self._lock(row)
        try:
            place = self._column + row
            self._words[place] = max(0, self._words[place] - 1)
            base = row * _ROW
            if by and second > self._words[base + _SECOND] - SLOTS:
                self._words[base + _TOKENS + second % SLOTS] += by
                self._words[base + _TOTALS + 1] += by
        finally:
            self._unlock(row)

    def under_way(self, key: str) -> int:
        """The calls of a key that are under way, on all workers."""
        return self._sum_under_way(self._find(key)[0])

    # within the lock

    def _begin(self, base: int, row: int, limits: KeyLimits, tokens: int, asked: int) -> Grant:
        words, now = self._words, self._clock()
        second = int(now)
        if second > words[base + _SECOND]:
            self._advance(base, second)
        requests = _left(limits.requests_per_minute, words[base + _TOTALS])
        left = _left(limits.tokens_per_minute, words[base + _TOTALS + 1])
        if requests is not None and requests < asked:
            return Grant("requests", self._wait(base + _REQUESTS, asked - requests, now), second, requests, left)
        if left is not None and left < tokens:
            wait = self._wait(base + _TOKENS, tokens - left, now)
            return Grant("tokens", inf if tokens > (limits.tokens_per_minute or 0) else wait, second, requests, left)
        if limits.concurrent is not None and self._sum_under_way(row) >= limits.concurrent:
            return Grant("concurrent", 1.0, second, requests, left)
        words[base + _REQUESTS + second % SLOTS] += asked
        words[base + _TOKENS + second % SLOTS] += tokens
        words[base + _TOTALS] += asked
        words[base + _TOTALS + 1] += tokens
        words[self._column + row] += 1
        return Grant("", 0.0, second, _left(requests, asked), _left(left, tokens))

    def _advance(self, base: int, second: int) -> None:
        """Forget what is older than a minute, and add up the rest: a worker may have died between two of its steps."""
        words = self._words
        first = max(words[base + _SECOND] + 1, second - SLOTS + 1)
        for slot in range(first, second + 1):
            words[base + _REQUESTS + slot % SLOTS] = words[base + _TOKENS + slot % SLOTS] = 0
        words[base + _SECOND] = second
        words[base + _TOTALS] = sum(words[base + _REQUESTS : base + _REQUESTS + SLOTS].tolist())
        words[base + _TOTALS + 1] = sum(words[base + _TOKENS : base + _TOKENS + SLOTS].tolist())

    def _wait(self, slots: int, lacking: int, now: float) -> float:
        """Seconds until so much has been given back."""
        second = int(now)
        for past in range(second - SLOTS + 1, second + 1):
            lacking -= self._words[slots + past % SLOTS]
            if lacking <= 0:
                return past + SLOTS - now
        return SLOTS

    def _sum_under_way(self, row: int) -> int:
        return sum(self._words[self._columns + row :: self._rows].tolist())

    # rows

    def _find(self, key: str) -> tuple[int, int, int]:
        first, second = _ID.unpack(hashlib.blake2b(key.encode(), digest_size=16).digest())
        first = first or 1  # zero marks a row that was never used
        self._lock(self._rows)  # one at a time, or two workers would give one key two rows
        try:
            row = self._claim(first, second)
        finally:
            self._unlock(self._rows)
        self._known[key] = row, first, second
        return self._known[key]

    def _claim(self, first: int, second: int) -> int:
        """The row of a key, else one that nobody needs."""
        now, free = int(self._clock()), None
        for step in range(self._rows):
            row = (first + step) % self._rows
            base = row * _ROW
            if self._words[base] == first and self._words[base + 1] == second:
                return row
            unused = not self._words[base]
            if free is None and (unused or self._is_idle(row, now)):
                free = row
            if unused:
                break
        if free is None:
            raise GatewayError("more API keys are in use than this machine counts", kind="api", status=503)
        return free if self._take_over(free, first, second, now) else self._claim(first, second)

    def _take_over(self, row: int, first: int, second: int, now: int) -> bool:
        """Whether the row is this key's from now on; it is not when its own has come back meanwhile."""
        base = row * _ROW
        self._lock(row)
        try:
            if self._words[base] and not self._is_idle(row, now):
                return False
            self._words[base : base + _ROW] = _EMPTY
            self._words[base], self._words[base + 1] = first, second
        finally:
            self._unlock(row)
        return True

    def _is_idle(self, row: int, now: int) -> bool:
        return now - self._words[row * _ROW + _SECOND] > 2 * SLOTS and not self._sum_under_way(row)

    def _lock(self, row: int) -> None:
        if self._locks is not None:
            fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, row)

    def _unlock(self, row: int) -> None:
        if self._locks is not None:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, row)


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else limit - used
