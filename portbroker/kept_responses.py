"""Responses that a later call may go on from, and where they are kept: here in the memory of this process.

The one rule: a response belongs to the caller that it was given to; for any other there is none of that name.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from portbroker.policy import Keep

_OVERHEAD = 1024
"""Bytes that keeping anything takes, however little it is."""


def packed(written: bytes) -> bytes:
    """The same bytes without the room that orjson leaves behind what it writes, which may be ten times as much."""
    return memoryview(written).tobytes()


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """One response as its caller got it, and the body that it answers, with all that had been said before.

    `provider` made it under its own id; empty for one that was translated.
    """

    id: str
    owner: str
    response: bytes
    asked: bytes
    provider: str = ""

    @property
    def size(self) -> int:
        """Bytes that keeping it takes."""
        return len(self.response) + len(self.asked) + _OVERHEAD


class ResponseStore(Protocol):
    """Where responses are kept."""

    def put(self, kept: KeptResponse, keep: Keep) -> None:
        """Keep it: from now on `get` finds it. Called as an answer ends, so it must neither wait nor raise."""

    async def get(self, owner: str, name: str) -> KeptResponse | None: ...
    async def delete(self, owner: str, name: str) -> None: ...


class ResponseMemory:
    """Keeps responses in memory: the newest, as long and as many as may be."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, KeptResponse]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, kept: KeptResponse, keep: Keep) -> None:
        key = kept.owner, kept.id
        self._drop(key)
        if kept.size <= keep.most_bytes:
            self._kept[key] = self._clock() + keep.seconds, kept
            self.size += kept.size
        self._forget(keep.most_bytes)

    async def get(self, owner: str, name: str) -> KeptResponse | None:
        self._forget(self.size)
        ends, found = self._kept.get((owner, name), (0.0, None))
        return found if ends > self._clock() else None

    async def delete(self, owner: str, name: str) -> None:
        self._drop((owner, name))

    def _forget(self, most_bytes: int) -> None:
        """Drop what is over, and the oldest of what is too much."""
        now = self._clock()
        while self._kept:
            key, (ends, _) = next(iter(self._kept.items()))
            # A shorter time that the file has come to say holds for what is kept from then on.
            if ends > now and self.size <= most_bytes:
                break
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        _, dropped = self._kept.pop(key, (0.0, None))
        if dropped is not None:
            self.size -= dropped.size
