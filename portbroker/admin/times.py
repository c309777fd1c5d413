"""Times and money as clients of the admin API see them: ISO 8601 in UTC, and US dollars.

The one rule: what is kept is whole microseconds and whole nano-dollars; nothing is rounded but what comes in finer.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from portbroker.store.records import Micros, Nano

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANO = 1_000_000_000


def now() -> Micros:
    """The wall clock."""
    return time.time_ns() // 1000


def shown(at: Micros | None) -> str | None:
    """`2026-11-23T12:00:00.000000Z`, without the fraction where there is none."""
    if at is None:
        return None
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def micros(moment: datetime | None) -> Micros | None:
    """A time that a client sent."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def nano(dollars: float) -> Nano:
    """Money that a client sent."""
    return round(dollars * _NANO)


def dollars(amount: Nano) -> float:
    """Money as it is shown."""
    return amount / _NANO


def _representable(moment: datetime) -> datetime:
    """A time that no zone leads out of the calendar."""
    if not 1970 < moment.year < 9999:
        raise ValueError("must be a time from 1971 to 9998")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_representable)]
"""A time with its zone."""
Dollars = Annotated[float, Field(ge=0, le=1_000_000)]
