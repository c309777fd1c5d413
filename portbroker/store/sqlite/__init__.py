"""SQLite: the database in a file beside the configuration, with nothing but Python's own `sqlite3`.

The one rule: one process opens the file, and one thread of it writes; every write is one `BEGIN IMMEDIATE` transaction.
"""

from portbroker.store.sqlite.database import SqliteDatabase

__all__ = ["SqliteDatabase"]
