"""What every database offers to `CalledStore`: named operations with plain JSON values in and out.

The one rule: an operation is one transaction. SQLite has them in Python (`store.sqlite`), PostgreSQL and Supabase as
the SQL functions of the migration, under the same names.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Arguments: TypeAlias = Mapping[str, Any]

POLL = 1.0
"""Seconds between two looks at the key version, where nobody tells of changes."""


class Database(Protocol):
    """One database, and how it is reached."""

    @property
    def kind(self) -> str:
        """`sqlite`, `postgresql` or `supabase`."""

    @property
    def place(self) -> str:
        """Where it is, for people; without a password."""

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises `StoreError`."""

    async def close(self) -> None:
        """Let go of it."""

    async def call(self, name: str, arguments: Arguments) -> Any:
        """Carry out an operation; what it gives. Raises `StoreDown` within a few seconds, or another `StoreError`."""

    async def changed(self) -> None:
        """Return when a key may have changed: after a second at most, unless the database tells by itself."""


IDEMPOTENT = frozenset({
    "version", "check_pepper", "key", "key_by_hash", "keys", "key_version", "audit", "usage", "events", "spending",
    "record", "reserve", "release", "sweep", "forget",
})  # fmt: skip
"""Operations that can be asked again when nobody knows whether they were carried out."""
