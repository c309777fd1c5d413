"""A connection to the file: opening it, its tables, its transactions. For one thread.

The one rule: a transaction is over, one way or the other, when a function here returns.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portbroker.errors import StoreDown, StoreError
from portbroker.store.migrations import Migration, outstanding
from portbroker.store.sqlite.faults import fault
from portbroker.store.sqlite.operations import DURABLE, READS, WRITES

BUSY = 1.0
"""Seconds to wait for another program that has the file locked."""
_OLDEST = (3, 37, 0)
_NOTHING = (0, 0)


class Connection:
    """The file at `path`, opened when it is first used, and again when another file has come into its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._db: sqlite3.Connection | None = None
        self._opened = (_NOTHING, _NOTHING)
        self._durable: bool | None = None

    def open(self) -> None:
        """Open the file and bring its tables up to date; a file that is not there is made."""
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StoreError(f"this Python's SQLite is {sqlite3.sqlite_version}; 3.37 or newer is needed")
        with self._told():
            self._make()
            self._discard_log()
            db = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            try:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA journal_size_limit = 67108864")
                _bring_up_to_date(db, str(self._path))
            except BaseException:
                db.close()
                raise
        self._db, self._opened = db, (_identity(self._path), _identity(self._log))

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            with self._told():
                self._db.close()
            self._db, self._durable = None, None

    def break_off(self) -> None:
        """Have what is being carried out fail; from another thread."""
        if (db := self._db) is not None:
            db.interrupt()

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out an operation in a transaction of its own."""
        with self._told():
            db = self._current()
            if name in READS:
                return READS[name](db, **arguments)
            self._be_durable(db, name in DURABLE)
            with _transaction(db):
                return (DURABLE.get(name) or WRITES[name])(db, **arguments)

    def _be_durable(self, db: sqlite3.Connection, durable: bool) -> None:
        if durable != self._durable:  # each statement costs the thread its turn
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that is there now: SQLite itself would go on writing into a deleted one."""
        if self._db is not None and _identity(self._path) != self._opened[0]:
            self.close()
        if self._db is None:
            if not self._path.exists():
                raise StoreDown(f"{self._path} is gone: put it back, or restart to begin anew")
            self.open()
        assert self._db is not None
        return self._db

    def _discard_log(self) -> None:
        """Take away the log of the file that was here before: SQLite would play it back into this one."""
        file, log = self._opened
        if file not in (_NOTHING, _identity(self._path)) and log == _identity(self._log) != _NOTHING:
            self._log.unlink()
            self._log.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)

    def _make(self) -> None:
        """An empty file that only this user can read; SQLite gives its others the same mode."""
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Faults as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise fault(error, str(self._path)) from error
        except OSError as error:
            raise StoreDown(f"{self._path} cannot be opened: {error.strerror}") from error
        except (OverflowError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{self._path} cannot keep this: {error}") from error


def _identity(path: Path) -> tuple[int, int]:
    """What tells a file from another that has come into its place."""
    try:
        found = os.stat(path)
    except OSError:
        return _NOTHING
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")  # a deferred one fails at its first write when another has written meanwhile
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise


def _bring_up_to_date(db: sqlite3.Connection, place: str) -> None:
    with _transaction(db):
        for step in outstanding("sqlite", db.execute("PRAGMA user_version").fetchone()[0], place):
            _apply(db, step)


def _apply(db: sqlite3.Connection, step: Migration) -> None:
    statement = ""
    for line in step.sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    db.execute(f"PRAGMA user_version = {step.version}")
