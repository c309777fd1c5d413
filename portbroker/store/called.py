"""A `Store` over any `Database`: records to plain values and back, pages, and who was first.

The one rule: nothing here knows which database it is.
"""

import dataclasses
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, TypeAlias

import orjson

from portbroker.errors import Conflict, StoreDown, StoreError
from portbroker.store.cursors import event_cursor, event_place, group_cursor, group_place
from portbroker.store.database import Arguments, Database
from portbroker.store.plain import restored, text
from portbroker.store.records import (
    DIMENSIONS,
    PAGE,
    ApiKey,
    AuditEntry,
    EventPage,
    Micros,
    Reservation,
    Reserved,
    Spending,
    Take,
    Taken,
    UsageEvent,
    UsageFilter,
    UsageGroup,
    UsagePage,
    UsageQuery,
)

_What: TypeAlias = Literal["name", "version", "gone"]
_CONFLICTS: dict[_What, str] = {
    "name": "there is a key of this name already; choose another",
    "version": "the key has been changed meanwhile; read it again",
    "gone": "the key has been deleted meanwhile",
}
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL in JSON: PostgreSQL's texts cannot hold it, and what one database refuses, all do."""


class CalledStore:
    """Keys, usage, budgets and windows in this database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.kind = database.kind
        self.place = database.place

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def check_pepper(self, fingerprint: str) -> None:
        if not await self._call("check_pepper", fingerprint=fingerprint):
            raise StoreError(
                f"the API keys in {self.place} were made with another SECRET_KEY: set that one, or delete the keys"
            )

    # keys

    async def insert_key(self, key: ApiKey, audit: AuditEntry) -> None:
        _refuse(await self._call("insert_key", key=key, audit=audit))

    async def key(self, id: str) -> ApiKey | None:
        return _key(await self._call("key", id=id))

    async def key_by_hash(self, hash: bytes) -> ApiKey | None:
        return _key(await self._call("key_by_hash", hash=hash))

    async def keys(self, after: str | None = None, limit: int = 100, search: str = "") -> list[ApiKey]:
        rows = await self._call("keys", after=after or "", limit=_page(limit), search=search)
        return [restored(ApiKey, row) for row in rows]

    async def update_key(self, key: ApiKey, version: int, audit: AuditEntry) -> ApiKey:
        changed = dataclasses.replace(key, version=version + 1)
        _refuse(await self._call("update_key", key=changed, version=version, audit=audit))
        return changed

    async def delete_key(self, id: str, audit: AuditEntry) -> bool:
        return bool(await self._call("delete_key", id=id, audit=audit))

    async def key_version(self) -> int:
        return int(await self._call("key_version"))

    async def watch(self) -> AsyncIterator[int]:
        seen = None
        while True:
            version = await self._version_if_up()
            if version is not None and version != seen:
                seen = version
                yield version
            await self._database.changed()

    async def _version_if_up(self) -> int | None:
        try:
            return await self.key_version()
        except StoreDown:
            return None

    # usage

    async def record(self, events: Sequence[UsageEvent]) -> int:
        return int(await self._call("record", events=list(map(_once, events)))) if events else 0

    async def record_json(self, events: Sequence[bytes]) -> int:
        plain = _read(b'{"events":[%b]}' % b",".join(events))
        for event in plain["events"]:
            event["tags"] = list(dict.fromkeys(event["tags"]))  # it counts once for each
        return int(await self._database.call("record", plain)) if events else 0

    async def usage(self, query: UsageQuery) -> UsagePage:
        if strange := set(query.by).difference(DIMENSIONS):
            raise StoreError(f"sums are by {', '.join(DIMENSIONS)}, not by {', '.join(strange)}")
        limit = _page(query.limit)
        after = group_place(query.after, len(query.by))
        rows = await self._call("usage", by=query.by, where=query.where, after=after, limit=limit + 1)
        groups = tuple(restored(UsageGroup, row) for row in rows[:limit])
        return UsagePage(groups, group_cursor(groups[-1].values) if len(rows) > limit else None)

    async def events(self, where: UsageFilter, after: str | None = None, limit: int = 100) -> EventPage:
        limit = _page(limit)
        rows = await self._call("events", where=where, after=event_place(after), limit=limit + 1)
        events = tuple(restored(UsageEvent, row) for row in rows[:limit])
        return EventPage(events, event_cursor(events[-1]) if len(rows) > limit else None)

    async def forget(self, before: Micros, limit: int) -> int:
        return int(await self._call("forget", before=before, limit=max(0, limit)))

    # budgets

    async def reserve(self, reservation: Reservation) -> Reserved:
        return restored(Reserved, await self._call("reserve", reservation=reservation))

    async def release(self, id: str) -> None:
        await self._call("release", id=id)

    async def sweep(self, now: Micros) -> int:
        return int(await self._call("sweep", now=now))

    async def spending(self, key_id: str, period: str) -> Spending:
        return restored(Spending, await self._call("spending", key_id=key_id, period=period))

    # windows

    async def take(self, takes: Sequence[Take], now: Micros) -> list[Taken]:
        rows = await self._call("take", takes=takes, now=now)
        return [restored(Taken, row) for row in rows]

    async def correct(self, bucket: str, at: Micros, by: int, window: Micros = 60_000_000) -> None:
        await self._call("correct", bucket=bucket, at=at, by=by, window=window)

    # audit log

    async def add_audit(self, entry: AuditEntry) -> None:
        await self._call("add_audit", entry=entry)

    async def audit(self, after: str | None = None, limit: int = 100) -> list[AuditEntry]:
        rows = await self._call("audit", after=after, limit=_page(limit))
        return [restored(AuditEntry, row) for row in rows]

    async def _call(self, name: str, **arguments: Any) -> Any:
        return await self._database.call(name, _plain(arguments))


def _plain(arguments: dict[str, Any]) -> Arguments:
    """The arguments as JSON would carry them; raises `StoreError` for what not every database can hold."""
    try:
        return _read(text(arguments))
    except orjson.JSONEncodeError as error:
        raise StoreError(f"this cannot be kept: {error}") from error


def _read(whole: bytes) -> dict[str, Any]:
    if b"\\u0000" in whole and _NUL.search(whole):
        raise StoreError("this cannot be kept: there is a NUL character in it")
    return orjson.loads(whole)  # type: ignore[no-any-return]


def _once(event: UsageEvent) -> UsageEvent:
    """The event with each tag once: it counts once for each."""
    tags = tuple(dict.fromkeys(event.tags))
    return event if len(tags) == len(event.tags) else dataclasses.replace(event, tags=tags)


def _page(limit: int) -> int:
    return max(1, min(limit, PAGE))


def _key(row: Any) -> ApiKey | None:
    return None if row is None else restored(ApiKey, row)


def _refuse(conflict: _What | None) -> None:
    if conflict:
        raise Conflict(_CONFLICTS[conflict], conflict)
