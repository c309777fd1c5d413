"""Plain values in columns and back. The one rule: what has a shape of its own is a column of JSON."""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson

KEY = (
    "id", "name", "hash", "prefix", "created_at", "previous_hash", "previous_until", "description", "metadata", "tags",
    "expires_at", "enabled", "revoked_at", "admin", "scopes", "limits", "budget", "version",
)  # fmt: skip
EVENT = (
    "id", "at", "key_id", "caller", "client", "route", "dialect", "model", "provider", "upstream_model", "attempts",
    "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano",
    "price", "latency_us", "first_token_us", "revision", "status", "outcome", "partial", "estimated", "stream", "tags",
    "period",
)  # fmt: skip
AUDIT = ("id", "at", "actor", "action", "subject", "details", "address")

_JSON = frozenset({"metadata", "tags", "scopes", "limits", "budget", "attempts", "price", "details"})
_BOOL = frozenset({"enabled", "admin", "partial", "estimated", "stream"})

INSERT_KEY = f"INSERT INTO keys ({', '.join(KEY)}) VALUES ({', '.join(f':{name}' for name in KEY)})"
UPDATE_KEY = f"UPDATE keys SET {', '.join(f'{name} = :{name}' for name in KEY)} WHERE id = :id"
_EVENT_AT_ONCE = 50
"""A statement that keeps many events costs a fraction of as many statements: between any two of them, the thread waits
for its turn among those that serve."""
_EVENT_VALUES = itemgetter(*EVENT)
_EVENT_JSON = [EVENT.index(name) for name in ("attempts", "price", "tags")]
INSERT_AUDIT = f"INSERT INTO audit ({', '.join(AUDIT)}) VALUES ({', '.join(f':{name}' for name in AUDIT)})"


def ids(events: Sequence[Mapping[str, Any]]) -> str:
    """The ids of calls, as `json_each` takes them."""
    return orjson.dumps([event["id"] for event in events]).decode()


def insert_events(db: sqlite3.Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Keep calls, of which none is kept yet."""
    for start in range(0, len(events), _EVENT_AT_ONCE):
        some = events[start : start + _EVENT_AT_ONCE]
        places = f"({', '.join('?' * len(EVENT))})"
        db.execute(
            f"INSERT INTO events ({', '.join(EVENT)}) VALUES {', '.join([places] * len(some))}",
            list(chain.from_iterable(map(_event_columns, some))),
        )


def _event_columns(event: Mapping[str, Any]) -> list[Any]:
    columns = list(_EVENT_VALUES(event))
    for place in _EVENT_JSON:
        columns[place] = orjson.dumps(columns[place]).decode()
    return columns


def stored(value: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the columns."""
    return {name: _column(name, one) for name, one in value.items()}


def read(row: sqlite3.Row) -> dict[str, Any]:
    """The plain values that the columns hold."""
    return {name: _value(name, row[name]) for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values


def _column(name: str, value: Any) -> Any:
    return orjson.dumps(value).decode() if name in _JSON and value is not None else value


def _value(name: str, column: Any) -> Any:
    if column is None:
        return None
    if name in _JSON:
        return orjson.loads(column)
    return bool(column) if name in _BOOL else column
