"""Usage is told by whatever it is asked by, in pages and as a file, and never more than was meant."""

import csv
import io
from dataclasses import replace

import pytest

from portbroker.admin.times import micros
from portbroker.store.ids import uuid7
from portbroker.store.records import UsageAttempt, UsageEvent
from tests.admin.calls import Admin, Kept

USAGE = "/admin/usage"
NOON = 1_795_435_200_000_000
"""2026-11-23T12:00:00Z."""
DAY = 86_400_000_000

CALL = UsageEvent(
    id="", at=NOON, key_id="key_a", caller="team-a", client="claude-cli/2.0", route="/v1/messages",
    dialect="anthropic.messages", model="claude-haiku-4-5", provider="OpenAI", upstream_model="gpt-5-mini",
    attempts=(UsageAttempt("OpenAI", "gpt-5-mini", "ok", 200, 1_500_000),), input_tokens=100, output_tokens=20,
    cached_input_tokens=30, cost_nano=1_250_000, price={"input": 0.25, "output": 2.0}, latency_us=2_000_000,
    first_token_us=500_000, revision="0123456789ab", status=200, tags=("ci",),
)  # fmt: skip


def call(at: int = NOON, **fields: object) -> UsageEvent:
    return replace(CALL, id=uuid7(at), at=at, **fields)  # type: ignore[arg-type]


@pytest.fixture
async def used(admin: Admin, kept: Kept) -> Admin:
    """Three calls of two keys on two days."""
    await kept.store.record([
        call(),
        call(NOON + DAY, model="fast", provider="Groq", cost_nano=2_000_000, status=502, outcome="api"),
        call(NOON + DAY, key_id="key_b", caller="=HYPERLINK()", tags=(), latency_us=4_000_000),
    ])  # fmt: skip
    return admin


async def test_usage_is_summed_by_key(used: Admin) -> None:
    answered = (await used.get(USAGE)).json
    assert (answered["by"], answered["next"]) == (["key"], None)
    first = answered["data"][0]
    assert (first["key"], first["caller"], first["calls"], first["failed"]) == ("key_a", "team-a", 2, 1)
    assert (first["input_tokens"], first["cached_input_tokens"], first["cost"]) == (200, 60, 0.00325)
    assert first["latency_ms"] == 2000.0


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", [["claude-haiku-4-5", 2], ["fast", 1]]),
        ("provider", [["Groq", 1], ["OpenAI", 2]]),
        ("day", [["2026-11-23", 1], ["2026-11-24", 2]]),
        ("tag", [["ci", 2]]),
        ("day,key", [["2026-11-23", "key_a", 1], ["2026-11-24", "key_a", 1], ["2026-11-24", "key_b", 1]]),
    ],
)
async def test_usage_is_summed_by_what_is_asked(used: Admin, by: str, expected: list[list[object]]) -> None:
    data = (await used.get(f"{USAGE}?by={by}")).json["data"]
    assert [[*(group[name] for name in by.split(",")), group["calls"]] for group in data] == expected


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("since=2026-11-24", 2), ("until=2026-11-24", 1), ("since=2026-11-23T12:00:00Z&until=2026-11-23T12:00:01Z", 1),
        ("since=2026-11-23T13:00:00%2B01:00", 3), ("key=key_b", 1), ("model=fast", 1), ("provider=OpenAI", 2),
        ("tag=ci", 2), ("outcome=api", 1), ("key=key_", 0), ("model=%25", 0), ("provider=O_enAI", 0),
        ("key=' OR 1=1 --", 0),
    ],
)  # fmt: skip
async def test_only_what_is_meant_is_counted(used: Admin, query: str, calls: int) -> None:
    query = query.replace(" ", "%20").replace("'", "%27")
    data = (await used.get(f"{USAGE}?by=day&{query}")).json["data"]
    assert sum(group["calls"] for group in data) == calls
    assert len((await used.get(f"{USAGE}/calls?{query}")).json["data"]) == calls


async def test_a_call_is_told_with_its_attempts_and_its_price(used: Admin) -> None:
    told = (await used.get(f"{USAGE}/calls?until=2026-11-24")).json["data"][0]
    assert told["at"] == "2026-11-23T12:00:00Z"
    assert told["attempts"] == [
        {"provider": "OpenAI", "model": "gpt-5-mini", "outcome": "ok", "status": 200, "ms": 1500.0, "why": "first"}
    ]
    assert (told["cost"], told["price"]["output"], told["first_token_ms"]) == (0.00125, 2.0, 500.0)


async def test_pages_hold_each_group_and_each_call_once(used: Admin) -> None:
    for path, name in ((f"{USAGE}?by=day,key", "key"), (f"{USAGE}/calls?", "id")):
        seen, after = [], ""
        while True:
            page = (await used.get(f"{path}&limit=1{after}")).json
            seen += [(row.get("day"), row[name]) for row in page["data"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert len(seen) == len(set(seen)) == 3


async def test_a_file_holds_all_rows_and_no_formula(used: Admin) -> None:
    answered = await used.get(f"{USAGE}?format=csv&limit=1")
    assert answered.headers["content-type"] == "text/csv; charset=utf-8"
    assert answered.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    rows = list(csv.DictReader(io.StringIO(answered.raw.decode())))
    assert [(row["key"], row["calls"], row["caller"]) for row in rows] == [
        ("key_a", "2", "team-a"), ("key_b", "1", "'=HYPERLINK()")
    ]  # fmt: skip
    calls = list(csv.DictReader(io.StringIO((await used.get(f"{USAGE}/calls?format=csv")).raw.decode())))
    assert [row["model"] for row in calls].count("fast") == 1
    assert {"attempts", "price"} & set(calls[0]) == set()


WRONG = [
    "by=caller", "by=", "by=key,key", "by=key;drop", "since=yesterday", "since=2026-13-01", "since=2026-11-23T12:00:00",
    "format=xml", "limit=0", "model=", "after=nonsense&by=key", "x=1", "since=0001-01-01T00:00:00%2B23:00",
]  # fmt: skip


@pytest.mark.parametrize("query", WRONG)
async def test_a_wrong_question_is_refused(used: Admin, query: str) -> None:
    assert (await used.get(f"{USAGE}?{query}")).status == 422


async def test_a_place_that_is_none_is_refused_among_calls_too(used: Admin) -> None:
    for after in ("nonsense", "%00", "-1", "0", "a" * 256, "2026-11-23.x"):
        assert (await used.get(f"{USAGE}/calls?after={after}")).status in (200, 422)
        assert (await used.get(f"/admin/audit?after={after}")).status in (200, 422)
        assert (await used.get(f"/admin/api-keys?after={after}")).status in (200, 422)


def test_noon_is_noon() -> None:
    from datetime import UTC, datetime

    assert micros(datetime(2026, 11, 23, 12, tzinfo=UTC)) == NOON
