"""A process that shares a database: `python -m tests.store.sharing PATH NUMBER`.

It records an event and reserves a cent, again and again, and prints the id of each event that is recorded. `StoreDown`
it meets as a recorder would: by asking again.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from portbroker.store import StoreDown
from portbroker.store.called import CalledStore
from portbroker.store.keeper import KeptDatabase
from portbroker.store.records import Reservation
from tests.store.samples import NOON, event

T = TypeVar("T")

CENT = 10_000_000


async def share(path: Path, number: int) -> None:
    store = CalledStore(KeptDatabase(path))
    await store.open()
    print("open", flush=True)
    while True:
        made = event(key_id="key_1", caller=f"process {number}", period="2026-11", cost_nano=CENT)
        await until_up(store.reserve, Reservation(made.id, made.key_id, made.period, CENT, 10**18, NOON))
        await until_up(store.record, [made])
        print(made.id, flush=True)


async def until_up(ask: Callable[[T], Awaitable[object]], what: T) -> None:
    """Ask until it is done."""
    while True:
        try:
            await ask(what)
        except StoreDown:
            await asyncio.sleep(0.01)
        else:
            return


if __name__ == "__main__":
    asyncio.run(share(Path(sys.argv[1]), int(sys.argv[2])))
