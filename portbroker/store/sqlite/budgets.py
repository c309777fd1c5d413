"""Budgets on SQLite. The one rule: what is reserved never brings spent and reserved together above the budget."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from portbroker.store.sqlite.rows import ids

_RESERVE = """
UPDATE budgets SET reserved_nano = reserved_nano + :amount_nano
WHERE key_id = :key_id AND period = :period AND spent_nano + reserved_nano + :amount_nano <= :budget_nano
RETURNING spent_nano, reserved_nano
"""
_BEGIN = "INSERT INTO budgets VALUES (:key_id, :period, 0, 0) ON CONFLICT DO NOTHING"
_HOLD = "INSERT INTO reservations VALUES (:id, :key_id, :period, :amount_nano, :expires_at) ON CONFLICT DO NOTHING"
_GIVE_BACK = (
    "UPDATE budgets SET reserved_nano = reserved_nano - :amount_nano WHERE key_id = :key_id AND period = :period"
)
_SPEND = """
INSERT INTO budgets (key_id, period, spent_nano, reserved_nano) VALUES (:key_id, :period, :cost_nano, 0)
ON CONFLICT DO UPDATE SET spent_nano = spent_nano + excluded.spent_nano
"""


def reserve(db: sqlite3.Connection, *, reservation: Mapping[str, Any]) -> dict[str, Any]:
    # As few statements as can be: between any two of them, the thread waits for its turn among those that serve.
    granted = True
    if db.execute(_HOLD, reservation).rowcount:  # otherwise it is asked again: it was granted
        if found := _hold_back(db, reservation):
            return {"granted": True, "remaining_nano": _left(reservation, found)}
        granted = False
        db.execute("DELETE FROM reservations WHERE id = :id", reservation)
    now = spending(db, key_id=reservation["key_id"], period=reservation["period"])
    return {"granted": granted, "remaining_nano": _left(reservation, now)}


def _hold_back(db: sqlite3.Connection, reservation: Mapping[str, Any]) -> sqlite3.Row | None:
    """What is spent and reserved with the amount; None when there is no room for it."""
    found: list[sqlite3.Row] = db.execute(_RESERVE, reservation).fetchall()
    if not found and db.execute(_BEGIN, reservation).rowcount:
        found = db.execute(_RESERVE, reservation).fetchall()
    return found[0] if found else None


def _left(reservation: Mapping[str, int], now: sqlite3.Row | Mapping[str, int]) -> int:
    return max(0, int(reservation["budget_nano"] - now["spent_nano"] - now["reserved_nano"]))


def release(db: sqlite3.Connection, *, id: str) -> None:
    for row in db.execute("DELETE FROM reservations WHERE id = ? RETURNING *", (id,)).fetchall():
        db.execute(_GIVE_BACK, dict(row))


def sweep(db: sqlite3.Connection, *, now: int) -> int:
    expired = db.execute("DELETE FROM reservations WHERE expires_at <= ? RETURNING *", (now,)).fetchall()
    db.executemany(_GIVE_BACK, map(dict, expired))
    db.execute("DELETE FROM windows WHERE expires_at <= ?", (now,))
    return len(expired)


def settle(db: sqlite3.Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Put what calls have cost in the place of what was held back for them."""
    held = db.execute(
        "DELETE FROM reservations WHERE id IN (SELECT value FROM json_each(?)) RETURNING *", (ids(events),)
    ).fetchall()
    db.executemany(_GIVE_BACK, map(dict, held))
    db.executemany(_SPEND, [event for event in events if event["period"]])


def spending(db: sqlite3.Connection, *, key_id: str, period: str) -> dict[str, int]:
    found = db.execute(
        "SELECT spent_nano, reserved_nano FROM budgets WHERE key_id = ? AND period = ?", (key_id, period)
    ).fetchone()
    return dict(found) if found else {"spent_nano": 0, "reserved_nano": 0}
