"""PostgreSQL: an SQLAlchemy engine over asyncpg, the SQL functions of the migration, and LISTEN for changes of keys.

The one rule: imported only where the file says PostgreSQL; its clients cost start-up time and memory.
"""

from portbroker.store.postgresql.database import PostgresqlDatabase

__all__ = ["PostgresqlDatabase"]
