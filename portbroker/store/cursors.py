"""Where the next page begins, as a text. The one rule: whoever makes one up gets `StoreError`, never another's rows."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from portbroker.errors import StoreError
from portbroker.store.records import UsageEvent


def group_cursor(values: Sequence[str]) -> str:
    """The cursor after the group with these values."""
    return _written(list(values))


def group_place(cursor: str | None, dimensions: int) -> list[str] | None:
    """The values of the group that the cursor stands behind."""
    if cursor is None:
        return None
    values = _read(cursor)
    if len(values) != dimensions or not all(isinstance(value, str) for value in values):
        raise _strange()
    return values


def event_cursor(event: UsageEvent) -> str:
    """The cursor after this event."""
    return _written([event.at, event.id])


def event_place(cursor: str | None) -> dict[str, object] | None:
    """Time and id of the event that the cursor stands behind."""
    if cursor is None:
        return None
    values = _read(cursor)
    if [type(value) for value in values] != [int, str] or abs(values[0]) >= 2**63:
        raise _strange()
    return {"at": values[0], "id": values[1]}


def _written(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _read(cursor: str) -> list[Any]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _strange() from error
    if not isinstance(values, list):
        raise _strange()
    return values


def _strange() -> StoreError:
    return StoreError("`after` must be the `next` of the page before, with the same grouping")
