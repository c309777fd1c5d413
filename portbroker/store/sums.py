"""Which sums are at hand. The one rule: totals are by whole days of UTC; whatever asks for more is added up anew."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

DAY = 86_400_000_000
"""Microseconds of a day."""


def day_of(at: int) -> str:
    """The day in UTC that this time falls in."""
    return _day(at // DAY)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(number * DAY // 1_000_000, UTC):%Y-%m-%d}"


def from_totals(where: Mapping[str, Any]) -> bool:
    """Whether the totals answer this filter, so that no event need be read."""
    return where["outcome"] is None and not (where["since"] or 0) % DAY and not (where["until"] or 0) % DAY
