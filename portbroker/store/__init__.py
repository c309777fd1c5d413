"""The database: what happened at run time and what was handed out, exact on SQLite, PostgreSQL and Supabase.

`Store` is all that the rest of the gateway knows of it. The one rule: what a call here does is done as a whole or not
at all, for all processes and replicas that share the database, and only `StoreError` and its kinds come out.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from portbroker.errors import Conflict, StoreDown, StoreError
from portbroker.store.records import (
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
    UsagePage,
    UsageQuery,
)

__all__ = ["Conflict", "Store", "StoreDown", "StoreError"]


class Store(Protocol):
    """Keys, usage, budgets and windows in one database.

    Everything may raise `StoreDown` within a few seconds; then it may or may not have been done. `record`, `reserve`,
    `release`, `sweep` and `forget` can simply be asked again: the same is not done twice.
    """

    @property
    def kind(self) -> str:
        """`sqlite`, `postgresql` or `supabase`."""

    @property
    def place(self) -> str:
        """Where the database is, for people: a path or a URL without its password."""

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises `StoreError` with what to do."""

    async def close(self) -> None:
        """Let go of the database."""

    async def check_pepper(self, fingerprint: str) -> None:
        """Remember which secret keys are hashed with. Raises `StoreError` when there are keys made with another."""

    # keys

    async def insert_key(self, key: ApiKey, audit: AuditEntry) -> None:
        """Keep a new key. Raises `Conflict` when its name is taken."""

    async def key(self, id: str) -> ApiKey | None:
        """The key of this id."""

    async def key_by_hash(self, hash: bytes) -> ApiKey | None:
        """The key with this hash, or with this previous one: whether that is still good is the caller's to judge."""

    async def keys(self, after: str | None = None, limit: int = 100, search: str = "") -> list[ApiKey]:
        """Keys in the order of their ids, those after the id `after`; `search` is a part of the name, in any case."""

    async def update_key(self, key: ApiKey, version: int, audit: AuditEntry) -> ApiKey:
        """Replace the key that has this version; the key as it is now. Raises `Conflict` when it has another."""

    async def delete_key(self, id: str, audit: AuditEntry) -> bool:
        """Delete a key, if there is one. Its usage stays."""

    async def key_version(self) -> int:
        """A number that grows with every change of any key."""

    def watch(self) -> AsyncIterator[int]:
        """The key version now, and each new one, a second after the change at most. Goes on when the database does."""

    # usage

    async def record(self, events: Sequence[UsageEvent]) -> int:
        """Keep the calls that are not kept yet, count them, and settle their reservations; how many were new."""

    async def record_json(self, events: Sequence[bytes]) -> int:
        """The same for calls that are JSON already, each a `UsageEvent` with all of its fields."""

    async def usage(self, query: UsageQuery) -> UsagePage:
        """Sums by key, model, provider, day or tag."""

    async def events(self, where: UsageFilter, after: str | None = None, limit: int = 100) -> EventPage:
        """The calls themselves, the newest first; `after` is the `next` of the page before."""

    async def forget(self, before: Micros, limit: int) -> int:
        """Delete calls older than `before`, `limit` at most; how many. Their sums stay."""

    # budgets

    async def reserve(self, reservation: Reservation) -> Reserved:
        """Hold back the amount if spent, reserved and amount together stay within the budget."""

    async def release(self, id: str) -> None:
        """Give a reservation back: its call came to nothing."""

    async def sweep(self, now: Micros) -> int:
        """Give back the reservations that have expired, how many; and forget windows that are over."""

    async def spending(self, key_id: str, period: str) -> Spending:
        """What of a budget is gone in this period."""

    # windows

    async def take(self, takes: Sequence[Take], now: Micros) -> list[Taken]:
        """Take from all of these buckets, or from none when one has not enough; never above a limit in any window."""

    async def correct(self, bucket: str, at: Micros, by: int, window: Micros = 60_000_000) -> None:
        """Count more (or with less than nothing, less) in what was taken at that time, even beyond the limit."""

    # audit log

    async def add_audit(self, entry: AuditEntry) -> None:
        """Keep an entry of a change that is not one of a key."""

    async def audit(self, after: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries, the newest first; `after` is the id of the last one of the page before."""
