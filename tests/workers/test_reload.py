"""The real command with two workers: a save is served by both or by none, whatever dies meanwhile."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.providers import FakeProvider, serving
from tests.reloads import Caller, Numbers, echo, marked, replace, revision_of
from tests.workers.test_supervisor import PATIENCE, SERVES, Server, supervised


@contextlib.asynccontextmanager
async def following(directory: Path) -> AsyncIterator[tuple[Server, Path, FakeProvider]]:
    """A supervisor whose file is that of the first number."""
    async with serving(echo) as provider, supervised(directory, provider.url) as server:
        path = directory / "portbroker.yaml"
        await save(server, path, marked(provider.url, 1))
        yield server, path, provider


async def save(server: Server, path: Path, text: str) -> None:
    """Returns when every worker serves it."""
    replace(path, text)
    server.kill(signal.SIGHUP)
    await server.said(f": revision {revision_of(text)}, was ")


async def health(server: Server, worker: int) -> dict[str, Any]:
    """What this worker says."""
    async with asyncio.timeout(PATIENCE):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with contextlib.closing(writer):
                writer.write(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].split()[0])
                body: dict[str, Any] = json.loads(await reader.readexactly(length))
                if server.owner(writer.get_extra_info("sockname")[1]) == worker:
                    return body


async def until_all_say(server: Server, revision: str, *, succeeded: bool) -> list[dict[str, Any]]:
    """What every worker says, once they say this of the last reload."""
    async with asyncio.timeout(PATIENCE):
        while True:
            told = [await health(server, worker) for worker in server.workers()]
            assert {one["revision"] for one in told} == {revision}
            if all(one["last_reload"]["succeeded"] is succeeded for one in told):
                return told


async def test_no_call_fails_or_is_mixed_while_two_workers_reload(tmp_path: Path) -> None:
    numbers = Numbers()
    async with following(tmp_path) as (server, path, provider):
        numbers.note(marked(provider.url, 1), 1)
        url = f"http://127.0.0.1:{server.port}"
        callers = [Caller(url, numbers, stream, keep) for stream in (False, True) for keep in (True, True, False)]
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.run())
            for number in range(2, 42):
                await save(server, path, numbers.note(marked(provider.url, number), number))
            for caller in callers:
                caller.stopped = True
        assert [caller.wrong for caller in callers] == [[]] * len(callers)
        assert len(set[int]().union(*(caller.seen for caller in callers))) > 10


async def test_a_save_is_noticed_by_itself_and_a_broken_one_harms_nobody(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        first = revision_of(marked(provider.url, 1))
        path.write_text(marked(provider.url, 2) + "colour: red\n")
        await server.said(f"the file cannot be served; still serving {first}")
        await server.said(" 5 | colour: red")
        await until_all_say(server, first, succeeded=False)
        path.write_text(text := marked(provider.url, 3))
        await server.said(f": revision {revision_of(text)}, was {first}: marked: m3 at P3, was m1 at P1")
        one, other = await until_all_say(server, revision_of(text), succeeded=True)
        assert one == other


async def test_an_included_file_is_served_by_every_worker(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        (tmp_path / "more.yaml").write_text("retry: {attempts: 2}\n")
        path.write_text(marked(provider.url, 2) + "include: [more.yaml]\n")
        await server.said("retry changed")
        (tmp_path / "more.yaml").write_text("retry: {attempts: 3}\ncatalog: {m: {context_window: 9}}\n")
        await server.said("retry changed", 2)
        one, other = [await health(server, worker) for worker in server.workers()]
        assert one["revision"] == other["revision"] != revision_of(path.read_text())


async def test_a_worker_that_dies_before_the_commit_is_replaced_by_one_that_serves_it(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        victim, other = server.workers()
        os.kill(victim, signal.SIGSTOP)  # it will not prepare
        replace(path, text := marked(provider.url, 2))
        server.kill(signal.SIGHUP)
        await asyncio.sleep(0.3)  # for the other to prepare: nothing tells when it has
        assert (await health(server, other))["revision"] == revision_of(marked(provider.url, 1))
        before = server.count(SERVES)
        os.kill(victim, signal.SIGKILL)
        await server.said(f": revision {revision_of(text)}, was ")
        await server.said(SERVES, before + 1)
        assert victim not in server.workers()
        for worker in server.workers():
            assert (await health(server, worker))["revision"] == revision_of(text)


async def test_a_watcher_that_dies_is_replaced_by_one_that_sees_what_it_missed(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        (watcher,) = server.watchers()
        os.kill(watcher, signal.SIGKILL)
        await server.said("was ended by SIGKILL")
        path.write_text(text := marked(provider.url, 2))
        await server.said(f": revision {revision_of(text)}, was ")
        path.write_text(text := marked(provider.url, 3))
        await server.said(f": revision {revision_of(text)}, was ")


async def test_a_storm_of_signals_ends_with_what_was_saved_last(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        for number in range(2, 60):
            replace(path, text := marked(provider.url, number))
            server.kill(signal.SIGHUP)
            await asyncio.sleep(0.002)
        await server.said(f": revision {revision_of(text)}, was ")
        for worker in server.workers():
            assert (await health(server, worker))["revision"] == revision_of(text)


async def test_told_to_stop_during_a_reload_it_stops(tmp_path: Path) -> None:
    async with following(tmp_path) as (server, path, provider):
        for number in range(2, 20):
            replace(path, marked(provider.url, number))
            server.kill(signal.SIGHUP)
            await asyncio.sleep(0.01)
        server.kill(signal.SIGTERM)
        server.kill(signal.SIGHUP)
        assert await server.all_ended() == 0
        assert server.count("Traceback") == 0
