"""What one worker is asked about all: counts are summed, a reload is told when every worker serves it."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tests.providers import answers, chat_answer, serving
from tests.reloads import ASK, echo, marked, replace, revision_of
from tests.workers.test_reload import following, save
from tests.workers.test_supervisor import PATIENCE, Server, supervised

GUARD = "reload: {guard: {window: 20s, min_calls: 10, max_error_rate_increase: 0.2}}\n"


class Boss:
    """An admin of a running server, by the token that it has written."""

    def __init__(self, server: Server, directory: Path, session: aiohttp.ClientSession) -> None:
        said = json.loads((directory / ".portbroker" / "server.json").read_text())
        self.url, self._token = f"http://127.0.0.1:{server.port}", said["token"]
        self._session = session

    async def ask(self, method: str, path: str) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        async with self._session.request(method, self.url + path, headers=headers) as response:
            return response.status, await response.json()

    async def call(self, number: int) -> None:
        for _ in range(number):
            async with self._session.post(f"{self.url}/v1/messages", json=ASK) as response:
                await response.read()

    async def scraped(self, name: str) -> dict[tuple[str, ...], float]:
        async with self._session.get(f"{self.url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
            return {
                tuple(sample.labels.values()): sample.value
                for family in families for sample in family.samples if sample.name == name
            }  # fmt: skip

    async def counted(self, name: str, words: tuple[str, ...], number: int) -> None:
        """Returns when so many are counted."""
        async with asyncio.timeout(PATIENCE):
            while (await self.scraped(name)).get(words) != number:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def boss_of(server: Server, directory: Path) -> AsyncIterator[Boss]:
    # A connection for each request: the kernel spreads them over the workers.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        yield Boss(server, directory, session)


async def test_a_reload_is_told_once_every_worker_serves_it(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider), boss_of(server, tmp_path) as boss:
        for number in range(2, 6):
            path.write_text(text := marked(provider.url, number))
            status, told = await boss.ask("POST", "/admin/config/reload")
            assert (status, told["revision"]) == (200, revision_of(text))
            status, told = await boss.ask("GET", "/admin/config")
            assert {worker["revision"] for worker in told["workers"]} == {revision_of(text)}
            assert {worker["process"] for worker in told["workers"]} == server.workers()
            assert told["in_sync"] is True


async def test_every_worker_tells_of_a_file_that_cannot_be_served(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider), boss_of(server, tmp_path) as boss:
        first = revision_of(marked(provider.url, 1))
        path.write_text(marked(provider.url, 2) + "colour: red\n")
        status, told = await boss.ask("POST", "/admin/config/reload?dry_run=1")
        assert (status, [problem["line"] for problem in told["error"]["problems"]]) == (422, [5])
        status, told = await boss.ask("POST", "/admin/config/reload")
        assert (status, [problem["line"] for problem in told["error"]["problems"]]) == (422, [5])
        for _ in range(6):
            status, told = await boss.ask("GET", "/admin/config")
            assert (told["revision"], told["in_sync"]) == (first, False)
            assert [problem["line"] for problem in told["last_reload"]["problems"]] == [5]


async def test_what_workers_count_is_summed_and_outlives_them(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, _, _provider), boss_of(server, tmp_path) as boss:
        name, words = "portbroker_requests_total", ("/v1/messages", "200")
        await boss.call(20)
        await boss.counted(name, words, 20)
        os.kill(next(iter(server.workers())), signal.SIGKILL)
        await server.said("was ended by SIGKILL")
        await boss.call(5)
        await boss.counted(name, words, 25)


async def test_without_a_process_that_reads_the_file_who_asks_is_told_so(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, _, _provider), boss_of(server, tmp_path) as boss:
        (watcher,) = server.watchers()
        os.kill(watcher, signal.SIGSTOP)
        asking = asyncio.create_task(boss.ask("POST", "/admin/config/reload"))
        await asyncio.sleep(0.3)  # until it waits for the watcher: nothing tells when it does
        os.kill(watcher, signal.SIGKILL)
        status, told = await asking
        assert status == 422
        assert "the process that reads the file has ended" in told["error"]["message"]


async def test_the_sum_over_all_workers_decides_whether_a_revision_is_returned_from(tmp_path: Path) -> None:
    async def failing(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "out of order"}}, status=500)

    def text(url: str) -> str:
        return marked(url, 1) + "retry: {attempts: 1}\nbreaker: {failures: 1000, least_calls: 1000}\n" + GUARD

    async with serving(answers(chat_answer("hi"))) as good, serving(failing) as bad:
        async with supervised(tmp_path, good.url) as server, boss_of(server, tmp_path) as boss:
            path = tmp_path / "portbroker.yaml"
            await save(server, path, text(good.url))
            await boss.call(20)
            await boss.counted("portbroker_revision_calls_total", (revision_of(text(good.url)),), 20)
            await save(server, path, text(bad.url))
            await boss.call(16)
            first, second = revision_of(text(good.url)), revision_of(text(bad.url))
            await server.said(f"RETURNED from revision {second} to {first}: 100% of ")
            _, told = await boss.ask("GET", "/admin/config")
            assert (told["revision"], told["returned"]["revision"]) == (first, second)
            assert {worker["revision"] for worker in told["workers"]} == {first}
            assert await boss.scraped("portbroker_config_returns_total") == {(): 1}
            status, _ = await boss.ask("POST", "/admin/config/reload")
            assert status == 422

            (watcher,) = server.watchers()
            os.kill(watcher, signal.SIGKILL)  # the next one must not serve it again
            await server.said("follows", 2)
            status, told = await boss.ask("POST", "/admin/config/reload")
            assert (status, told["error"]["problems"][0]["line"]) == (422, 0)
            assert (await boss.ask("GET", "/admin/config"))[1]["revision"] == first


async def test_a_worker_that_dies_between_prepare_and_commit_harms_no_call(tmp_path: Path) -> None:
    async with serving(echo) as provider, supervised(tmp_path, provider.url, workers=4) as server:
        path = tmp_path / "portbroker.yaml"
        await save(server, path, marked(provider.url, 1))
        async with boss_of(server, tmp_path) as boss:
            for number in range(2, 8):
                victim = next(iter(server.workers()))
                replace(path, text := marked(provider.url, number))
                server.kill(signal.SIGHUP)
                os.kill(victim, signal.SIGKILL)
                await server.said(f": revision {revision_of(text)}, was ")
                await boss.call(4)
                _, told = await boss.ask("GET", "/admin/config")
                serving_now = {worker["revision"] for worker in told["workers"]} - {None}
                assert serving_now == {revision_of(text)}
