"""Windows on SQLite: what was taken from a bucket, in slots of a sixtieth of the window.

The one rule: a slot counts until all of it has left the window, so that no span of that length ever sees more than the
limit.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

SLOTS = 60


def take(db: sqlite3.Connection, *, takes: Sequence[Mapping[str, Any]], now: int) -> list[dict[str, Any]]:
    looks = [_look(db, one, now) for one in takes]
    if all(look["granted"] for look in looks):
        for one, look in zip(takes, looks, strict=True):
            correct(db, bucket=one["bucket"], at=now, by=one["amount"], window=one["window"])
            look["remaining"] -= one["amount"]
    return looks


def correct(db: sqlite3.Connection, *, bucket: str, at: int, by: int, window: int) -> None:
    length = window // SLOTS
    slot = at // length
    db.execute(
        "INSERT INTO windows VALUES (:bucket, :slot, max(0, :by), :expires_at)"
        " ON CONFLICT DO UPDATE SET used = max(0, used + :by)",
        {"bucket": bucket, "slot": slot, "by": by, "expires_at": (slot + SLOTS + 1) * length},
    )


def _look(db: sqlite3.Connection, take: Mapping[str, Any], now: int) -> dict[str, Any]:
    slots = db.execute(
        "SELECT used, expires_at FROM windows WHERE bucket = ? AND expires_at > ? ORDER BY slot", (take["bucket"], now)
    ).fetchall()
    left = max(0, take["limit"] - sum(slot["used"] for slot in slots))
    if left >= take["amount"]:
        return {"granted": True, "remaining": left, "retry_after": 0}
    return {"granted": False, "remaining": left, "retry_after": _wait(slots, take, now)}


def _wait(slots: Sequence[sqlite3.Row], take: Mapping[str, Any], now: int) -> int:
    """Until enough slots have left the window; for more than the limit, a whole window."""
    used = sum(slot["used"] for slot in slots)
    for slot in slots:
        used -= slot["used"]
        if used + take["amount"] <= take["limit"]:
            return int(slot["expires_at"]) - now
    return int(take["window"])
