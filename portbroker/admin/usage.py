"""`/admin/usage`: what was used and what it cost, summed or call by call, in pages or as a file.

The one rule: an answer is bounded; what does not fit is refused, not cut.
"""

from portbroker.admin.endpoints import Answer, Asked, Endpoint, Refusal
from portbroker.admin.usage_forms import (
    DIMENSIONS,
    CallShown,
    CallsShown,
    GroupShown,
    Sums,
    UsageShown,
    Which,
    call_shown,
    group_shown,
    table,
)
from portbroker.store import Store
from portbroker.store.records import PAGE, UsageQuery

CSV = "text/csv; charset=utf-8"
MOST_ROWS = 100_000
"""Rows of one file."""
_CALL_COLUMNS = [name for name in CallShown.model_fields if name not in ("attempts", "price")]


class Usage:
    """The usage that a store keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def endpoints(self) -> tuple[Endpoint, ...]:
        csv = {"text/csv": "With `format=csv`: all rows, from `after` on."}
        return (
            Endpoint("GET", "/admin/usage", self.sums, "Usage and cost by key, model, provider, day or tag.",
                     {200: UsageShown}, query=Sums, also=csv, tag="usage"),
            Endpoint("GET", "/admin/usage/calls", self.calls, "The calls themselves, the newest first.",
                     {200: CallsShown}, query=Which, also=csv, tag="usage"),
        )  # fmt: skip

    async def sums(self, asked: Asked) -> Answer:
        which: Sums = asked.query
        by = which.dimensions()
        if which.format == "csv":
            columns = [*by, *(name for name in GroupShown.model_fields if name not in DIMENSIONS)]
            return _file(table(await self._all_groups(which), columns), "usage")
        page = await self._store.usage(UsageQuery(by, which.filter(), which.after, which.limit))
        return Answer(UsageShown(by=list(by), data=[group_shown(g, by) for g in page.groups], next=page.next))

    async def calls(self, asked: Asked) -> Answer:
        which: Which = asked.query
        if which.format == "csv":
            return _file(table(await self._all_calls(which), _CALL_COLUMNS), "calls")
        page = await self._store.events(which.filter(), which.after, which.limit)
        return Answer(CallsShown(data=[call_shown(event) for event in page.events], next=page.next))

    async def _all_groups(self, which: Sums) -> list[GroupShown]:
        by, after, rows = which.dimensions(), which.after, list[GroupShown]()
        while True:
            page = await self._store.usage(UsageQuery(by, which.filter(), after, PAGE))
            rows += [group_shown(group, by) for group in page.groups]
            _check(len(rows))
            if (after := page.next) is None:
                return rows

    async def _all_calls(self, which: Which) -> list[CallShown]:
        after, rows = which.after, list[CallShown]()
        while True:
            page = await self._store.events(which.filter(), after, PAGE)
            rows += [call_shown(event) for event in page.events]
            _check(len(rows))
            if (after := page.next) is None:
                return rows


def _check(rows: int) -> None:
    if rows > MOST_ROWS:
        raise Refusal(
            422, "invalid", f"more than {MOST_ROWS} rows: ask for a shorter time (since, until)", param="since"
        )


def _file(content: bytes, name: str) -> Answer:
    return Answer(content, content_type=CSV, headers={"content-disposition": f'attachment; filename="{name}.csv"'})
