"""Keys and the audit log on SQLite. The one rule: a key's change, its audit entry and the new version are one."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from portbroker.store.sqlite.rows import INSERT_AUDIT, INSERT_KEY, UPDATE_KEY, read, stored

Plain = Mapping[str, Any]


def check_pepper(db: sqlite3.Connection, *, fingerprint: str) -> bool:
    """Whether all keys were made with this one; without keys, it is the one from now on."""
    if db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is None:
        db.execute("INSERT OR REPLACE INTO facts VALUES ('pepper', ?)", (fingerprint,))
    return bool(db.execute("SELECT value = ? FROM facts WHERE name = 'pepper'", (fingerprint,)).fetchone()[0])


def insert_key(db: sqlite3.Connection, *, key: Plain, audit: Plain) -> str | None:
    if _name_taken(db, key):
        return "name"
    db.execute(INSERT_KEY, stored(key))
    _changed(db, audit)
    return None


def key(db: sqlite3.Connection, *, id: str) -> Plain | None:
    return _one(db.execute("SELECT * FROM keys WHERE id = ?", (id,)))


def key_by_hash(db: sqlite3.Connection, *, hash: str) -> Plain | None:
    found = _one(db.execute("SELECT * FROM keys WHERE hash = ?", (hash,)))
    return found or _one(db.execute("SELECT * FROM keys WHERE previous_hash = ? ORDER BY id LIMIT 1", (hash,)))


def keys(db: sqlite3.Connection, *, after: str, limit: int, search: str) -> list[Plain]:
    pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    found = db.execute(
        "SELECT * FROM keys WHERE id > ? AND name LIKE ? ESCAPE '\\' ORDER BY id LIMIT ?", (after, pattern, limit)
    )
    return [read(row) for row in found]


def update_key(db: sqlite3.Connection, *, key: Plain, version: int, audit: Plain) -> str | None:
    now = db.execute("SELECT version FROM keys WHERE id = ?", (key["id"],)).fetchone()
    if now is None:
        return "gone"
    if now["version"] != version:
        return "version"
    if _name_taken(db, key):
        return "name"
    db.execute(UPDATE_KEY, stored(key))
    _changed(db, audit)
    return None


def delete_key(db: sqlite3.Connection, *, id: str, audit: Plain) -> bool:
    if not db.execute("DELETE FROM keys WHERE id = ?", (id,)).rowcount:
        return False
    _changed(db, audit)
    return True


def key_version(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT value FROM facts WHERE name = 'key_version'").fetchone()[0])


def add_audit(db: sqlite3.Connection, *, entry: Plain) -> None:
    db.execute(INSERT_AUDIT, stored(entry))


def audit(db: sqlite3.Connection, *, after: str | None, limit: int) -> list[Plain]:
    found = db.execute(
        "SELECT * FROM audit WHERE :after IS NULL OR id < :after ORDER BY id DESC LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [read(row) for row in found]


def _name_taken(db: sqlite3.Connection, key: Plain) -> bool:
    return bool(db.execute("SELECT 1 FROM keys WHERE name = ? AND id <> ?", (key["name"], key["id"])).fetchone())


def _changed(db: sqlite3.Connection, audit: Plain) -> None:
    add_audit(db, entry=audit)
    db.execute("UPDATE facts SET value = value + 1 WHERE name = 'key_version'")


def _one(found: sqlite3.Cursor) -> Plain | None:
    row = found.fetchone()
    return None if row is None else read(row)
