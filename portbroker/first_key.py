"""The first admin key: from PORTBROKER_ADMIN_KEY, or made when there is none, and shown once.

The one rule: it is shown to a person at a terminal, or kept in a file that only this user can read; never in a log.
"""

import logging
import sys
import time
from dataclasses import replace

from portbroker.errors import Conflict
from portbroker.keys import Pepper, issue, shortened
from portbroker.state_dir import StateDir, write_private
from portbroker.store import Store
from portbroker.store.ids import uuid7
from portbroker.store.records import ApiKey, AuditEntry

log = logging.getLogger("portbroker")

FIRST = "admin"
GIVEN = "PORTBROKER_ADMIN_KEY"
_PAGE = 1000


async def ensure_admin(store: Store, pepper: Pepper, given: str, state: StateDir) -> None:
    """There is an admin key: `given`, where it is not empty, else one that was made before, else a new one."""
    if given:
        await _take(store, pepper, given)
    elif not await _has_admin(store):
        key, secret = issue(pepper, FIRST, _now(), admin=True, description="the first admin key")
        try:
            await store.insert_key(key, _entry("key.created", key))
        except Conflict:
            return  # another process was first, and shows its own
        _show(secret, state)


async def _take(store: Store, pepper: Pepper, given: str) -> None:
    """The key that the environment gives, in the place of the one that it gave before."""
    if await store.key_by_hash(pepper.hash(given)):
        return
    old = next((key for key in await store.keys(search=GIVEN) if key.name == GIVEN), None)
    try:
        if old is None:
            key, _ = issue(pepper, GIVEN, _now(), secret=given, admin=True, description="given by the environment")
            await store.insert_key(key, _entry("key.created", key))
        else:
            hashed = pepper.hash(given)
            key = replace(old, hash=hashed, prefix=shortened(given), previous_hash=None, previous_until=None)
            await store.update_key(key, old.version, _entry("key.rotated", key))
    except Conflict:
        log.debug("another process has taken %s", GIVEN)


async def _has_admin(store: Store) -> bool:
    after: str | None = None
    while page := await store.keys(after, _PAGE):
        if any(key.admin and key.revoked_at is None for key in page):
            return True
        after = page[-1].id
    return False


def _show(secret: str, state: StateDir) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\n  The first admin key, shown this once:\n\n    {secret}\n\n"
                         "  It opens /admin and makes other keys: `portbroker keys create`.\n\n")  # fmt: skip
        sys.stderr.flush()
    else:
        write_private(state.path / "admin_key", secret.encode() + b"\n")
        log.warning("the first admin key is in %s: read it and delete the file", state.path / "admin_key")


def _entry(action: str, key: ApiKey) -> AuditEntry:
    now = _now()
    return AuditEntry(uuid7(now), now, "portbroker", action, key.id, {"name": key.name, "admin": True})


def _now() -> int:
    return time.time_ns() // 1000
