"""Who changed what: the entry that every change leaves, and the log of them.

The one rule: an entry says what was changed and by whom, and never holds a secret.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.endpoints import Answer, Asked, Endpoint
from portbroker.admin.forms import Page
from portbroker.admin.times import now, shown
from portbroker.store import Store
from portbroker.store.ids import uuid7
from portbroker.store.records import AuditEntry


def entry(asked: Asked, action: str, subject: str, **details: Any) -> AuditEntry:
    """An entry for what is being done."""
    at = now()
    actor = f"{asked.who.name} ({asked.who.id})" if asked.who.id else asked.who.name
    return AuditEntry(uuid7(at), at, actor, action, subject, details, asked.remote)


class EntryShown(BaseModel):
    """One change."""

    model_config = ConfigDict(title="Audit entry")

    id: str
    at: str = Field(json_schema_extra={"format": "date-time"})
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    address: str


class EntriesShown(BaseModel):
    """Some changes, the newest first."""

    model_config = ConfigDict(title="Audit entries")

    data: list[EntryShown]
    next: str | None


class Audit:
    """`GET /admin/audit`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", "/admin/audit", self.list, "Who changed what, the newest first.", {200: EntriesShown},
                     query=Page, tag="audit"),
        )  # fmt: skip

    async def list(self, asked: Asked) -> Answer:
        page: Page = asked.query
        entries = await self._store.audit(page.after, page.limit)
        more = len(entries) == page.limit
        return Answer(EntriesShown(data=[_shown(e) for e in entries], next=entries[-1].id if more else None))


def _shown(entry: AuditEntry) -> EntryShown:
    return EntryShown(
        id=entry.id, at=shown(entry.at) or "", actor=entry.actor, action=entry.action, subject=entry.subject,
        details=dict(entry.details), address=entry.address,
    )  # fmt: skip
