"""A revision on trial: returned from when many more calls fail than before, and only then."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.config.reloading import GuardConfig
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.guard import Calls, Trial
from portbroker.history import history_of
from portbroker.metrics.meter import harmed
from portbroker.reload import Reloader, reloading
from portbroker.usage import Exchange
from tests.providers import answers, chat_answer, serving
from tests.reloads import ASK

GUARD = GuardConfig(window=10.0, min_calls=20, max_error_rate_increase=0.2)


def trial(went: Calls) -> Trial[str]:
    return Trial("new", "old", went, GUARD, 0.0)


@pytest.mark.parametrize(
    ("went", "goes", "bad"),
    [
        (Calls(100, 1), Calls(20, 5), True),
        (Calls(100, 1), Calls(19, 19), False),  # too few to say
        (Calls(100, 1), Calls(100, 20), False),
        (Calls(100, 90), Calls(100, 100), False),  # it was no better before
        (Calls(0, 0), Calls(20, 4), False),
        (Calls(0, 0), Calls(20, 5), True),
    ],
)
def test_what_counts_is_how_many_more_calls_fail(went: Calls, goes: Calls, bad: bool) -> None:
    assert bool(trial(went).fault(goes)) is bad


def test_the_reason_has_both_shares() -> None:
    assert trial(Calls(200, 2)).fault(Calls(40, 18)) == "45% of 40 calls failed, 1% of 200 calls before"


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (None, False),
        (CallError("no model"), False),
        (CallError("unknown key", kind="auth", status=401), False),
        (CallError("too many", kind="rate_limit", status=429), False),
        (CallError("nobody serves it", kind="not_found", status=404), True),
        (GatewayError("no provider is active", status=503), True),
        (ProviderError("bad field", kind="invalid", status=400), True),
        (ProviderError("wrong key", kind="auth", status=401), True),
        (ProviderError("down", kind="api", status=500), True),
    ],
)
def test_the_file_is_not_blamed_for_what_callers_do(error: GatewayError | None, blamed: bool) -> None:
    exchange = Exchange("POST", "/v1/messages", "r")
    exchange.error = error
    assert harmed(exchange) is blamed


# served


@dataclass
class Guarded:
    """A gateway whose file asks for a guard, between a provider that answers and one that does not."""

    path: Path
    reloader: Reloader
    listening: Listening
    session: aiohttp.ClientSession
    good: str
    bad: str

    @property
    def revision(self) -> str:
        return self.listening.gateway.snapshot.revision

    def text(self, url: str, more: str = "") -> str:
        return (
            f"providers: [{{name: P, base_url: '{url}/v1', api_key: k}}]\nretry: {{attempts: 1}}\n"
            "breaker: {failures: 1000, least_calls: 1000}\n"
            "models: [{match: marked, targets: [{provider: P, model: m}]}]\n"
            f"reload: {{guard: {{window: 3s, min_calls: 10, max_error_rate_increase: 0.2}}}}\n{more}"
        )

    async def serve(self, text: str) -> str:
        """The revision, once it is served."""
        self.path.write_text(text)
        last = await self.reloader.reload("test")
        assert last.succeeded, last
        return self.revision

    async def call(self, number: int) -> None:
        for _ in range(number):
            async with self.session.post(f"{self.listening.url}/v1/messages", json=ASK) as response:
                await response.read()

    async def until(self, revision: str) -> None:
        async with asyncio.timeout(5):
            while self.revision != revision:
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def guarded(directory: Path) -> AsyncIterator[Guarded]:
    async def failing(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "out of order"}}, status=500)

    async with serving(answers(chat_answer("hi"))) as good, serving(failing) as bad:
        path = directory / "portbroker.yaml"
        made = Guarded.__new__(Guarded)
        path.write_text(made.text(good.url))
        loaded = load(path)
        snapshot = compile_snapshot(loaded)
        async with (
            running(snapshot, host="127.0.0.1", port=0, max_body=1024 * 1024) as listening,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        ):
            reloader = Reloader(path, loaded, snapshot, listening, history_of(path, loaded))
            async with reloading(reloader):
                await asyncio.sleep(0.15)  # until the first look is over: nothing tells when that is
                yield Guarded(path, reloader, listening, session, good.url, bad.url)


async def test_a_revision_under_which_calls_fail_is_returned_from_and_refused_until_the_file_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with guarded(tmp_path) as served:
        first = served.revision
        await served.call(20)
        second = await served.serve(served.text(served.bad))
        assert served.reloader.status.guarded_until is not None
        await served.call(12)
        await served.until(first)
        await served.call(1)

        assert (
            f"RETURNED from revision {second} to {first}: 100% of 12 calls failed, 0% of 20 calls before" in caplog.text
        )
        status = served.reloader.status
        assert status.returned is not None
        assert (status.returned.revision, status.returned.to, status.returns) == (second, first, 1)
        assert status.last is not None
        assert (status.last.succeeded, status.last.cause, status.last.revision) == (False, "guard", second)
        assert status.told()["in_sync"] is False

        again = await served.reloader.reload("SIGHUP")
        assert not again.succeeded
        assert f"revision {second} was returned from" in again.problems[0].message
        assert served.revision == first

        third = await served.serve(served.text(served.good, "# mended\n"))
        assert served.reloader.status.returned is None
        await served.serve(served.text(served.bad))  # the file has changed meanwhile: it is tried again
        assert served.revision == second != third


async def test_a_revision_that_proves_itself_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with guarded(tmp_path) as served:
        second = await served.serve(served.text(served.good, "# more\n"))
        await served.call(12)
        async with asyncio.timeout(6):
            while served.reloader.status.guarded_until is not None:
                await asyncio.sleep(0.05)
        assert f"revision {second} has proved itself: 0% of 12 calls failed" in caplog.text
        await served.call(1)
        assert served.revision == second


async def test_what_is_not_proved_is_nothing_to_return_to(tmp_path: Path) -> None:
    async with guarded(tmp_path) as served:
        first = served.revision
        await served.serve(served.text(served.bad))
        await served.serve(served.text(served.bad, "# no better\n"))
        await served.call(12)
        await served.until(first)


async def test_what_has_answered_enough_calls_well_is_returned_to_before_its_time_is_over(tmp_path: Path) -> None:
    async with guarded(tmp_path) as served:
        second = await served.serve(served.text(served.good, "# more\n"))
        await served.call(12)
        await served.serve(served.text(served.bad))
        await served.call(12)
        await served.until(second)


async def test_an_outage_that_began_before_is_no_fault_of_the_revision(tmp_path: Path) -> None:
    async with guarded(tmp_path) as served:
        without = served.text(served.bad).replace("guard: {", "guard: {").replace("reload:", "# reload:")
        await served.serve(without)  # nothing guards what has no guard
        await served.call(15)
        second = await served.serve(served.text(served.bad))
        await served.call(15)
        async with asyncio.timeout(6):
            while served.reloader.status.guarded_until is not None:
                await asyncio.sleep(0.05)
        assert served.revision == second


async def test_what_was_returned_from_is_known_after_a_crash_of_whoever_watches(tmp_path: Path) -> None:
    async with guarded(tmp_path) as served:
        first = served.revision
        await served.serve(served.text(served.bad))
        await served.call(12)
        await served.until(first)
        before = load(tmp_path / "portbroker.yaml")
        served.path.write_text(served.text(served.good))
        loaded = load(served.path)
        served.path.write_text(before.text.decode())
        another = Reloader(
            served.path, loaded, compile_snapshot(loaded), served.listening, history_of(served.path, loaded)
        )
        assert not (await another.reload("save")).succeeded


async def test_a_new_start_serves_what_the_file_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarded(tmp_path) as served:
        first = served.revision
        await served.serve(served.text(served.bad))
        await served.call(12)
        await served.until(first)
    loaded = load(tmp_path / "portbroker.yaml")
    snapshot = compile_snapshot(loaded)
    async with running(snapshot, host="127.0.0.1", port=0, max_body=1024) as listening:
        path = tmp_path / "portbroker.yaml"
        reloader = Reloader(path, loaded, snapshot, listening, history_of(path, loaded))
        assert (await reloader.reload("save")).succeeded
    assert "was returned from, and is served again after a start" in caplog.text
