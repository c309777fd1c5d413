"""The periods of budgets. The one rule: a period is a text that sorts like time and is the same on every machine."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from portbroker.store.records import Budget, Micros

_SECOND = 1_000_000


def period_key(budget: Budget, at: Micros) -> str:
    """The period that this time falls in: `2026-11-23`, `2026-W48`, `2026-11` or `total`."""
    local = _local(budget, at)
    match budget.period:
        case "day":
            return f"{local:%Y-%m-%d}"
        case "week":
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return f"{local:%Y-%m}"
        case "total":
            return "total"


def period_end(budget: Budget, at: Micros) -> Micros | None:
    """When the next period begins; None when there is none."""
    today = _local(budget, at).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    match budget.period:
        case "day":
            end = today + timedelta(days=1)
        case "week":
            end = today + timedelta(days=7 - today.weekday())
        case "month":
            end = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        case "total":
            return None
    return int(end.replace(tzinfo=ZoneInfo(budget.time_zone)).astimezone(UTC).timestamp()) * _SECOND


def _local(budget: Budget, at: Micros) -> datetime:
    return datetime.fromtimestamp(at // _SECOND, UTC).astimezone(ZoneInfo(budget.time_zone))
