"""Spans, times and money as people type and read them. One rule: a span counts from now, a time has its zone."""

import argparse
import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def span(text: str) -> float:
    """`30m`, `24h` or `7d` in seconds."""
    if match := _SPAN.fullmatch(text.strip()):
        return float(match[1]) * _SECONDS[match[2]]
    raise argparse.ArgumentTypeError("must be a span like 30m, 24h or 7d")


def moment(text: str) -> str:
    """A span from now, a day or a time, as an ISO 8601 time in UTC."""
    return _iso(_at(text, 1))


def since(text: str) -> str:
    """A span before now, a day or a time, as an ISO 8601 time in UTC."""
    return _iso(_at(text, -1))


def _at(text: str, direction: int) -> datetime:
    try:
        if _SPAN.fullmatch(text.strip()):
            return datetime.now(UTC).replace(microsecond=0) + direction * timedelta(seconds=span(text))
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = "must be a span like 7d, a day like 2026-11-23 or a time like 2026-11-23T12:00:00Z"
        raise argparse.ArgumentTypeError(message) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_over(text: str | None) -> bool:
    """Whether this time has passed."""
    return text is not None and datetime.fromisoformat(text) <= datetime.now(UTC)


def money(dollars: float) -> str:
    """US dollars, with as many places as say something: cents at least, up to six."""
    shown = f"{dollars:,.6f}".rstrip("0")
    whole, _, cents = shown.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


def count(number: int) -> str:
    """A count with its thousands apart."""
    return f"{number:,}"
