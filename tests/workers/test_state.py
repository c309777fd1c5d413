"""Keys and usage over two workers of a real server, of which one is killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.sides import free_port
from bench.state import Serving
from portbroker.keys import Pepper, issue
from portbroker.store.called import CalledStore
from portbroker.store.ids import uuid7
from portbroker.store.keeper import KeptDatabase
from portbroker.store.records import AuditEntry, KeyLimits, UsageFilter
from tests.providers import FakeProvider, answers, chat_answer, chat_chunk, serving, sse, streams
from tests.stateful import ASK, config

SECRET = "0123456789abcdef0123456789abcdef"


@dataclass
class Pair:
    """Two workers, and a client of theirs."""

    url: str
    key: str
    session: aiohttp.ClientSession
    gateway: Serving
    store: CalledStore

    async def status(self) -> int:
        """Of a call, on a connection of its own; 0 where it broke."""
        with contextlib.suppress(aiohttp.ClientError):
            headers = {"x-api-key": self.key, "connection": "close"}
            async with self.session.post(f"{self.url}/v1/messages", json=ASK, headers=headers) as response:
                await response.read()
                return response.status
        return 0


@contextlib.asynccontextmanager
async def pair(directory: Path, provider: FakeProvider, limits: KeyLimits) -> AsyncIterator[Pair]:
    file, log, port = directory / "portbroker.yaml", directory / "log", free_port()
    file.write_text(config(provider.url, extra="server: {workers: 2}\nauth: {calls: key}\n"))
    store = CalledStore(KeptDatabase(directory / "portbroker.db"))
    await store.open()
    pepper = Pepper(SECRET.encode())
    await store.check_pepper(pepper.fingerprint)
    key, secret = issue(pepper, "team", 1, limits=limits, admin=True)
    await store.insert_key(key, AuditEntry(uuid7(1), 1, "test", "key.created", key.id))
    gateway = Serving(_started(file, port, log), log)
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while len(gateway.workers()) < 2:
                await asyncio.sleep(0.05)
            yield Pair(f"http://127.0.0.1:{port}", secret, session, gateway, store)
        gateway.process.terminate()
        assert await asyncio.to_thread(gateway.process.wait, 60) == 0
    finally:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()
        await store.close()


def _started(file: Path, port: int, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "portbroker", str(file), "--port", str(port)]
    with log.open("wb") as into:
        return subprocess.Popen(command, env={**os.environ, "SECRET_KEY": SECRET}, stderr=into)


async def test_two_workers_grant_together_what_one_key_has(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        async with pair(tmp_path, provider, KeyLimits(requests_per_minute=20)) as both:
            statuses = await asyncio.gather(*(both.status() for _ in range(60)))
            assert (statuses.count(200), statuses.count(429)) == (20, 40)
            assert len(provider.seen) == 20


async def test_the_place_of_a_call_whose_worker_was_killed_is_free_again(tmp_path: Path) -> None:
    hanging = streams(sse(chat_chunk({"content": "a"})), then="hang")
    async with serving(hanging) as provider:
        async with pair(tmp_path, provider, KeyLimits(concurrent=1)) as both:
            holding = asyncio.create_task(both.status())
            while not provider.seen:
                await asyncio.sleep(0.02)
            assert await both.status() == 429
            for pid in both.gateway.workers():
                os.kill(pid, signal.SIGKILL)
            assert await holding == 0
            provider.behave = answers(chat_answer())
            async with asyncio.timeout(30):
                while await both.status() != 200:
                    await asyncio.sleep(0.05)


async def test_what_a_killed_worker_had_answered_is_in_the_books(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        async with pair(tmp_path, provider, KeyLimits()) as both:
            answered = 0
            for _ in range(3):
                statuses = await asyncio.gather(*(both.status() for _ in range(20)))
                answered += statuses.count(200)
                while not (alive := both.gateway.workers()):
                    await asyncio.sleep(0.02)
                os.kill(alive[0], signal.SIGKILL)
            async with asyncio.timeout(30):
                while len(rows := (await both.store.events(UsageFilter(), limit=200)).events) < answered:
                    await asyncio.sleep(0.1)
            assert answered >= 20
            assert len({row.id for row in rows}) == len(rows)
            assert sum(row.outcome == "ok" for row in rows) >= answered
