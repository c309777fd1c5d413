"""What SQLite's faults mean. The one rule: what may pass by itself is `StoreDown`, and every fault says what to do."""

import sqlite3

from portbroker.errors import StoreDown, StoreError

_BUSY = "{place} is locked by another program: close what has it open"
_READ_ONLY = "{place} is read-only: make it and its directory writable"
_FULL = "{place} cannot grow, the disk is full: make room"
_GONE = "{place} cannot be read or written: look whether the disk is there and healthy"
_CANNOT_OPEN = "{place} cannot be opened: look whether its directory is there and writable"
_NO_DATABASE = "{place} is no SQLite database, or is damaged: restore a copy of it, or move it away to begin anew"

_PASSING = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _GONE,
    sqlite3.SQLITE_CANTOPEN: _CANNOT_OPEN,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_AUTH: _READ_ONLY,
    sqlite3.SQLITE_INTERRUPT: "{place} took too long",
}
_LASTING = {sqlite3.SQLITE_CORRUPT: _NO_DATABASE, sqlite3.SQLITE_NOTADB: _NO_DATABASE}


def fault(error: sqlite3.Error, place: str) -> StoreError:
    """The same as one of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code in _PASSING:
        return StoreDown(_PASSING[code].format(place=place))
    if code in _LASTING:
        return StoreError(_LASTING[code].format(place=place))
    return StoreError(f"{place} refuses this: {error}")
