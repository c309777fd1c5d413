"""Records for the tests of the store: whole ones, with every field other than its default."""

import itertools
import time
from typing import Any

from portbroker.store.ids import uuid7
from portbroker.store.records import (
    ApiKey,
    AuditEntry,
    Budget,
    KeyLimits,
    Scopes,
    UsageAttempt,
    UsageEvent,
)

_numbers = itertools.count(1)
SECOND = 1_000_000
DAY = 86_400 * SECOND
NOON = 1_795_435_200 * SECOND
"""12:00 UTC on Monday, 23 November 2026."""


def api_key(**changes: Any) -> ApiKey:
    """A key unlike any other."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": f"key_{number:024}",
        "name": f"key {number}",
        "hash": number.to_bytes(32, "big"),
        "prefix": "pb-AbCd",
        "created_at": NOON,
        "previous_hash": (number + 2**64).to_bytes(32, "big"),
        "previous_until": NOON + DAY,
        "description": "for the night's batch; 'quoted' \"twice\" 100% \\ ünï",
        "metadata": {"team": "search", "ünï": "ß"},
        "tags": ("batch", "night"),
        "expires_at": NOON + 30 * DAY,
        "enabled": False,
        "revoked_at": NOON + 2 * DAY,
        "admin": True,
        "scopes": Scopes(routes=("/v1/*",), models=(), providers=("Open*", "Local")),
        "limits": KeyLimits(60, 100_000, 4),
        "budget": Budget(5_000_000_000_000, "month", "Europe/Berlin"),
    }
    return ApiKey(**values | changes)


def entry(action: str = "key.create", **changes: Any) -> AuditEntry:
    """An entry of now."""
    at = time.time_ns() // 1000
    values: dict[str, Any] = {"id": uuid7(at), "at": at, "actor": "root", "action": action, "subject": "key_1",
                              "details": {"name": ["old", "new"]}, "address": "127.0.0.1"}  # fmt: skip
    return AuditEntry(**values | changes)


def event(**changes: Any) -> UsageEvent:
    """A call at noon that went well and cost a cent."""
    at = changes.get("at", NOON)
    values: dict[str, Any] = {
        "id": uuid7(at),
        "at": at,
        "key_id": "key_1",
        "caller": "batch",
        "client": "openai-python/2.0",
        "route": "/v1/chat/completions",
        "dialect": "openai.chat",
        "model": "fast",
        "provider": "OpenAI",
        "upstream_model": "gpt-5-mini",
        "attempts": (UsageAttempt("Groq", "llama", "overloaded", 503, 1200), UsageAttempt("OpenAI", "gpt-5", "ok")),
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_input_tokens": 40,
        "cache_write_tokens": 5,
        "reasoning_tokens": 7,
        "cost_nano": 10_000_000,
        "price": {"input": 0.25, "output": 2.0},
        "latency_us": 800_000,
        "first_token_us": 200_000,
        "revision": "abc123",
        "status": 200,
        "outcome": "ok",
        "partial": False,
        "estimated": True,
        "stream": True,
        "tags": ("batch",),
        "period": "",
    }  # fmt: skip
    return UsageEvent(**values | changes)
