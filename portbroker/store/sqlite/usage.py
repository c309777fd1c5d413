"""Usage on SQLite: recording, sums and pages. The one rule: an event counts in the transaction that first keeps it."""

import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from portbroker.store.sqlite.budgets import settle
from portbroker.store.sqlite.rows import ids, insert_events, read
from portbroker.store.sums import day_of, from_totals

_SUMS = (
    "calls", "failed", "partial", "estimated", "input_tokens", "output_tokens", "cached_input_tokens",
    "cache_write_tokens", "reasoning_tokens", "cost_nano", "latency_us",
)  # fmt: skip
_event_sums = itemgetter(*_SUMS[2:])
_PLACE = ("day", "tag", "key_id", "model", "provider")
_place = itemgetter(*_PLACE[2:])
_COLUMNS = {"key": "key_id", "model": "model", "provider": "provider", "day": "day", "tag": "tag"}

_ADD = f"""
INSERT INTO totals (day, tag, key_id, model, provider, caller, {", ".join(_SUMS)})
VALUES (:day, :tag, :key_id, :model, :provider, :caller, {", ".join(f":{name}" for name in _SUMS)})
ON CONFLICT DO UPDATE SET caller = excluded.caller, {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}
"""
_AS_TOTALS = f"""
SELECT strftime('%Y-%m-%d', at / 1000000, 'unixepoch') AS day, {{tag}} AS tag, key_id, model, provider, caller,
       1 AS calls, outcome NOT IN ('ok', 'cancelled') AS failed, {", ".join(_SUMS[2:])}
FROM events{{tags}}
"""
_ADDED = f"max(caller) AS caller, {', '.join(f'sum({name}) AS {name}' for name in _SUMS)}"


def record(db: sqlite3.Connection, *, events: Sequence[Mapping[str, Any]]) -> int:
    found = db.execute("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", (ids(events),))
    known = {row["id"] for row in found}
    new = list({event["id"]: event for event in reversed(events) if event["id"] not in known}.values())[::-1]
    insert_events(db, new)
    db.executemany(_ADD, _added(new))
    settle(db, new)
    return len(new)


def _added(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What calls add to the totals, together: most of those that are recorded at once are of few keys and models."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in events:
        day, failed = day_of(event["at"]), event["outcome"] not in ("ok", "cancelled")
        sums = [1, failed, *_event_sums(event)]
        for tag in ("", *filter(None, event["tags"])):
            place = (day, tag, *_place(event))
            row = rows.get(place)
            if row is None:
                row = rows[place] = dict(zip(_PLACE, place, strict=True)) | dict.fromkeys(_SUMS, 0)
            row["caller"] = event["caller"]
            for name, more in zip(_SUMS, sums, strict=True):
                row[name] += more
    return list(rows.values())


def usage(
    db: sqlite3.Connection, *, by: Sequence[str], where: Mapping[str, Any], after: Sequence[str] | None, limit: int
) -> list[dict[str, Any]]:
    source, conditions = _totals(by, where) if from_totals(where) else _events(by, where)
    names = [_COLUMNS[name] for name in by]
    values = {f"after{number}": value for number, value in enumerate(after or ())}
    if names and after:
        conditions.append(f"({', '.join(names)}) > ({', '.join(f':{name}' for name in values)})")
    grouped = f"GROUP BY {', '.join(names)} ORDER BY {', '.join(names)}" if names else ""
    days = {"from": day_of(where["since"] or 0), "to": day_of(where["until"] or 0)}
    found = db.execute(
        f"SELECT {', '.join([*names, _ADDED])} FROM ({source}) WHERE {' AND '.join(conditions)} {grouped} LIMIT :limit",
        {**where, **values, **days, "limit": limit},
    )
    return [{**row, "values": [row[name] for name in names]} for row in map(dict, found) if row["calls"]]


def _totals(by: Sequence[str], where: Mapping[str, Any]) -> tuple[str, list[str]]:
    conditions = _equal(where, ("key_id", "model", "provider"))
    conditions += ["day >= :from"] * (where["since"] is not None) + ["day < :to"] * (where["until"] is not None)
    return "SELECT * FROM totals", [*conditions, _tag(by, where)]


def _events(by: Sequence[str], where: Mapping[str, Any]) -> tuple[str, list[str]]:
    tagged = "tag" in by or where["tag"] is not None
    source = _AS_TOTALS.format(tag="value" if tagged else "''", tags=", json_each(events.tags)" if tagged else "")
    return f"{source} WHERE {' AND '.join(_matching(where)) or 'true'}", [_tag(by, where)]


def _tag(by: Sequence[str], where: Mapping[str, Any]) -> str:
    if where["tag"] is not None:
        return "tag = :tag"
    return "tag <> ''" if "tag" in by else "tag = ''"


def _matching(where: Mapping[str, Any]) -> list[str]:
    conditions = _equal(where, ("key_id", "model", "provider", "outcome"))
    return conditions + ["at >= :since"] * (where["since"] is not None) + ["at < :until"] * (where["until"] is not None)


def _equal(where: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [f"{name} = :{name}" for name in names if where[name] is not None]


def events(
    db: sqlite3.Connection, *, where: Mapping[str, Any], after: Mapping[str, Any] | None, limit: int
) -> list[dict[str, Any]]:
    conditions = _matching(where)
    if where["tag"] is not None:
        conditions.append("EXISTS (SELECT 1 FROM json_each(events.tags) WHERE value = :tag)")
    if after:
        conditions.append("(at, id) < (:after_at, :after_id)")
    place = {"after_at": after["at"], "after_id": after["id"]} if after else {}
    found = db.execute(
        f"SELECT * FROM events WHERE {' AND '.join(conditions) or 'true'} ORDER BY at DESC, id DESC LIMIT :limit",
        {**where, **place, "limit": limit},
    )
    return [read(row) for row in found]


def forget(db: sqlite3.Connection, *, before: int, limit: int) -> int:
    return db.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at, id LIMIT ?)", (before, limit)
    ).rowcount
