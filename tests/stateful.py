"""A gateway with keys and usage in a directory of its own, as `serve` starts it, and a client of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from portbroker.app import running, state_of
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.counters import Counters
from portbroker.gateway import Gateway
from portbroker.headers import fold
from portbroker.keys import issue
from portbroker.state import State, opened
from portbroker.store.ids import uuid7
from portbroker.store.records import ApiKey, AuditEntry, UsageEvent, UsageFilter
from tests.plugs import until
from tests.providers import Json

ASK: Json = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
CHAT: Json = {"model": "small", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Keyed:
    """A running gateway with its state, and a client of it."""

    session: aiohttp.ClientSession
    url: str
    state: State
    gateway: Gateway

    async def call(self, key: str = "", path: str = "/v1/messages", body: Any = None, **headers: str) -> "Answer":
        """Send a call, with the key as `x-api-key` where there is one."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["x-api-key"] = key
        asked = body if body is not None else CHAT if "chat" in path else ASK
        async with self.session.post(self.url + path, json=asked, headers=sent) as response:
            return Answer(response.status, fold(response.headers.items()), await response.read())

    async def ask(self, method: str, path: str, **headers: str) -> "Answer":
        """Any request, its path exactly as it stands here."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        target = URL(self.url + path, encoded=True)
        body = json.dumps(ASK).encode() if method == "POST" else None
        async with self.session.request(method, target, headers=sent, data=body, allow_redirects=False) as response:
            return Answer(response.status, fold(response.headers.items()), await response.read())

    async def new_key(self, name: str = "team", **fields: Any) -> tuple[ApiKey, str]:
        """A key of this gateway, and its secret."""
        key, secret = issue(self.state.keyring.pepper, name, 1, **fields)
        await self.state.store.insert_key(key, AuditEntry(uuid7(1), 1, "test", "key.created", key.id))
        return key, secret

    async def rows(self, count: int) -> list[UsageEvent]:
        """The calls, the oldest first, as soon as there are so many."""
        found: list[UsageEvent] = []

        async def enough() -> bool:
            page = await self.state.store.events(UsageFilter(), limit=1000)
            found[:] = reversed(page.events)
            return len(found) >= count

        async with asyncio.timeout(10):
            while not await enough():
                await asyncio.sleep(0.02)
        assert len(found) == count, found
        return found


@dataclass
class Answer:
    """What the gateway answered."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        found: Json = json.loads(self.raw)
        return found

    @property
    def error(self) -> Json:
        found: Json = self.body["error"]
        return found


def config(*urls: str, extra: str = "", catalog: str = "") -> str:
    """One provider for each URL, whose small model costs a dollar for a million tokens in and two out."""
    providers = "".join(
        f"  - {{name: P{i}, provider_type: custom, base_url: '{url}/v1', api_key: sk-{i}, priority: {i}, "
        f"small_model: small, models: [small, free, 'm*'], timeout: {{connect: 1, first_byte: 5, idle: 5}}}}\n"
        for i, url in enumerate(urls, 1)
    )
    priced = catalog or "  small: {price: {input: 1, output: 2}, max_output_tokens: 1000}\n"
    return f"providers:\n{providers}catalog:\n{priced}{extra}"


@contextlib.asynccontextmanager
async def keyed(
    text: str, directory: Path, *, counters: Counters | None = None, host: str = "127.0.0.1", **environ: str
) -> AsyncIterator[Keyed]:
    """A gateway on this configuration; its files are in `directory`. The database is open when it is given."""
    loaded = load_text(text.encode(), file=str(directory / "portbroker.yaml"), directory=directory, environ=environ)
    snapshot, state = compile_snapshot(loaded), state_of(loaded, directory, counters or Counters())
    async with (
        opened(state),
        running(snapshot, host=host, port=0, max_body=1024 * 1024, state=state) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        await until(lambda: state.keyring._stored is not None)
        url = listening.url.replace("0.0.0.0", "127.0.0.1")
        yield Keyed(session, url, state, listening.gateway)
