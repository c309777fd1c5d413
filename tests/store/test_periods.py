"""The periods of budgets."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.store.periods import period_end, period_key
from portbroker.store.records import Budget, Micros, Period


def at(text: str) -> Micros:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(("period", "zone", "time", "key", "end"), [
    ("day", "UTC", "2026-11-23T23:59:59", "2026-11-23", "2026-11-24T00:00:00"),
    ("day", "Europe/Berlin", "2026-11-23T22:59:59", "2026-11-23", "2026-11-23T23:00:00"),
    ("day", "Europe/Berlin", "2026-11-23T23:00:00", "2026-11-24", "2026-11-24T23:00:00"),
    ("day", "America/Los_Angeles", "2026-11-23T07:59:59", "2026-11-22", "2026-11-23T08:00:00"),
    ("week", "UTC", "2026-11-22T23:59:59", "2026-W47", "2026-11-23T00:00:00"),
    ("week", "UTC", "2026-11-23T00:00:00", "2026-W48", "2026-11-30T00:00:00"),
    ("week", "UTC", "2027-01-01T00:00:00", "2026-W53", "2027-01-04T00:00:00"),
    ("month", "Asia/Kolkata", "2026-11-30T18:30:00", "2026-12", "2026-12-31T18:30:00"),
    ("month", "UTC", "2026-12-31T23:59:59", "2026-12", "2027-01-01T00:00:00"),
])  # fmt: skip
def test_a_period_begins_at_midnight_where_the_budget_is(
    period: Period, zone: str, time: str, key: str, end: str
) -> None:
    budget = Budget(1, period, zone)
    assert period_key(budget, at(time)) == key
    assert period_end(budget, at(time)) == at(end)


def test_the_day_on_which_the_clocks_change_is_one_period_of_25_hours() -> None:
    budget = Budget(1, "day", "Europe/Berlin")
    assert (
        period_key(budget, at("2026-10-24T22:00:00")) == "2026-10-25" == period_key(budget, at("2026-10-25T22:59:59"))
    )
    assert period_end(budget, at("2026-10-24T22:00:00")) == at("2026-10-25T23:00:00")


def test_a_budget_in_total_never_begins_anew() -> None:
    assert period_key(Budget(1, "total"), 0) == "total"
    assert period_end(Budget(1, "total"), 0) is None


@given(
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tehran"]),
    st.integers(at("2010-01-01T00:00:00"), at("2037-01-01T00:00:00")),
)
def test_a_period_holds_until_its_end_and_not_a_moment_longer(period: Period, zone: str, time: Micros) -> None:
    budget = Budget(1, period, zone)
    end = period_end(budget, time)
    assert end is not None
    assert end > time
    assert period_key(budget, end - 1) == period_key(budget, time) < period_key(budget, end)
