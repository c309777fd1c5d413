"""Several gateways on one machine: a database, a provider that counts, a balancer in front (Debian's haproxy).

The one rule: whatever starts here ends here.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.sides import HERE, free_port
from tests.providers import serving, sse

TOKENS = 10
"""What every answer of the provider takes, in and out."""
SPENDS = 0.001
"""Dollars that every answer costs: just what can be held back for it before, as only what is written has a price."""

FILE = """\
# {remark}
database: {{type: postgresql, url: "{database}"}}
limits: {{backend: database}}
providers:
  - name: mock
    provider_type: custom
    base_url: {provider}/v1
    api_key: bench
    models: [m]
catalog:
  m: {{context_window: 100000, max_output_tokens: 10, price: {{input: 0.0, output: {price}}}}}
"""


@dataclass
class Counting:
    """A provider, and how many calls it has answered whole, by the `user` of the call."""

    url: str = ""
    pause: float = 0.0
    answered: dict[str, int] = field(default_factory=dict)

    async def behave(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if self.pause:
            await asyncio.sleep(self.pause)
        self.answered[asked.get("user", "")] = self.answered.get(asked.get("user", ""), 0) + 1
        if asked.get("stream"):
            return await self._stream(request)
        return web.json_response(_ANSWER)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        for piece in _PIECES:
            await answer.write(piece)
            await asyncio.sleep(0.02)  # so that a stream lasts while its gateway is told to end
        return answer


_USAGE = {"prompt_tokens": TOKENS, "completion_tokens": TOKENS, "total_tokens": 2 * TOKENS}
_ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": _USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "whole"}}],
}  # fmt: skip


def _chunk(delta: dict[str, str], finish: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


_PIECES = [sse(_chunk({"content": "whole"})) for _ in range(20)] + [sse(_chunk({}, "stop", usage=_USAGE), "[DONE]")]


class Replica:
    """One gateway, which can be told to end, killed, and started again where it was."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.file = folder, folder / "portbroker.yaml"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "portbroker", str(self.file), "--port", str(self.port), "--log", "failures"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, env=self._environ, stderr=log)

    async def start(self) -> None:
        """Returns when it is well."""
        self._process = self._spawn()
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if (await session.get(f"{self.url}/health")).status == 200:
                        return
                if self._process.poll() is not None:
                    raise RuntimeError(f"a replica ended: {(self.folder / 'log').read_text()[-2000:]}")
                await asyncio.sleep(0.05)

    async def end(self, number: int = signal.SIGTERM) -> None:
        """Tell it to end, and wait until it has."""
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, 60)
            self._process = None


@dataclass
class Fleet:
    """Replicas behind one address, and those who call and rule them."""

    replicas: list[Replica]
    fronts: Iterator[str]
    """Where the next call goes: to the balancer, or without one to each replica in turn."""
    provider: Counting
    database: str
    session: aiohttp.ClientSession
    admin_key: str

    async def admin(self, method: str, path: str, body: Any = None, *, replica: int = 0) -> Any:
        """An answer of the admin API."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        url = self.replicas[replica].url + path
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.status != 204 else None

    async def new_key(self, name: str, **fields: Any) -> tuple[str, str]:
        """The id and the secret of a new API key."""
        made = await self.admin("POST", "/admin/api-keys", {"name": name, **fields})
        return made["id"], made["key"]

    async def call(self, url: str, key: str, user: str, *, stream: bool = False) -> tuple[int, str]:
        """The status and the revision of one answer, read to its end. A stream that does not end well is a 599, and an
        answer that never came a 598."""
        body = {"model": "m", "max_tokens": TOKENS, "user": user, "stream": stream,
                "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
        headers = {"authorization": f"Bearer {key}"}
        try:
            async with self.session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return 598, ""
        whole = answer.status != 200 or (b"whole" in raw and (not stream or b"[DONE]" in raw))
        return answer.status if whole else 599, answer.headers.get("x-portbroker-revision", "")

    def write(self, remark: str, numbers: list[int] | None = None) -> None:
        """Replace the file of these replicas, or of all."""
        for number, replica in enumerate(self.replicas):
            if numbers is None or number in numbers:
                part = replica.file.with_suffix(".part")
                part.write_text(text(remark, self.database, self.provider.url))
                part.replace(replica.file)


def text(remark: str, database: str, provider: str) -> str:
    """The file that all replicas serve; with each remark another revision."""
    price = SPENDS / TOKENS * 1_000_000
    return FILE.format(remark=remark, database=database, provider=provider, price=price)


@contextlib.asynccontextmanager
async def fleet(folder: Path, database: str, count: int, *, balanced: bool) -> AsyncIterator[Fleet]:
    """So many replicas, each well, behind a balancer or without one."""
    provider = Counting()
    admin_key = "pb-" + secrets.token_urlsafe(40)
    environ = os.environ | {"SECRET_KEY": secrets.token_hex(32), "PORTBROKER_ADMIN_KEY": admin_key}
    async with contextlib.AsyncExitStack() as stack:
        provider.url = (await stack.enter_async_context(serving(provider.behave))).url
        replicas = []
        for number in range(count):
            home = folder / str(number)
            home.mkdir()
            (home / "portbroker.yaml").write_text(text("first", database, provider.url))
            replicas.append(Replica(home, environ))
        for replica in replicas:
            stack.push_async_callback(replica.end)
            await replica.start()
        urls = [stack.enter_context(_balancer(folder, replicas))] if balanced else [one.url for one in replicas]
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(30))
        )
        yield Fleet(replicas, itertools.cycle(urls), provider, database, session, admin_key)


@contextlib.contextmanager
def _balancer(folder: Path, replicas: list[Replica]) -> Iterator[str]:
    program = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SystemExit("haproxy is needed, or --without-balancer: apt install haproxy")
    port = free_port()
    lines = [f"  server r{number} 127.0.0.1:{replica.port}" for number, replica in enumerate(replicas)]
    config = folder / "haproxy.cfg"
    written = (HERE / "replicas.cfg").read_text().replace("PORT", str(port))
    config.write_text(written + "\n".join(lines) + "\n")
    process = subprocess.Popen([program, "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
