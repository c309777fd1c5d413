"""The operations of SQLite by name. The one rule: each is a function of the connection and plain values."""

from collections.abc import Callable
from typing import Any

from portbroker.store.sqlite import budgets, keys, usage, windows

READS: dict[str, Callable[..., Any]] = {
    "key": keys.key,
    "key_by_hash": keys.key_by_hash,
    "keys": keys.keys,
    "key_version": keys.key_version,
    "audit": keys.audit,
    "usage": usage.usage,
    "events": usage.events,
    "spending": budgets.spending,
}
"""Those that change nothing."""

WRITES: dict[str, Callable[..., Any]] = {
    "reserve": budgets.reserve,
    "release": budgets.release,
    "sweep": budgets.sweep,
    "take": windows.take,
    "correct": windows.correct,
}
"""Those whose last moments may be lost when the power fails, because the calls they were for are gone too."""

DURABLE: dict[str, Callable[..., Any]] = {
    "check_pepper": keys.check_pepper,
    "insert_key": keys.insert_key,
    "update_key": keys.update_key,
    "delete_key": keys.delete_key,
    "add_audit": keys.add_audit,
    "record": usage.record,
    "forget": usage.forget,
}
"""Those that are on the disk when they return."""
