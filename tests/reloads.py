"""A file whose every revision is told apart by what it answers, and clients that find out whether any are mixed."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.providers import Json, chat_answer, chat_chunk, sse

ASK: Json = {"model": "marked", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


def marked(url: str, number: int) -> str:
    """A file whose provider and upstream model bear this number."""
    return (
        f"providers:\n  - {{name: P{number}, provider_type: custom, base_url: {url}/v1, api_key: sk-{number}}}\n"
        f"models:\n  - {{match: marked, targets: [{{provider: P{number}, model: m{number}}}]}}\n"
    )


def revision_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def replace(path: Path, text: str) -> None:
    """As editors and git do it: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


async def echo(request: web.Request) -> web.StreamResponse:
    """A provider whose answer is the model it was asked for and the key it was shown."""
    body = json.loads(await request.read())
    text = f"{body['model']} {request.headers['authorization'].removeprefix('Bearer ')}"
    if not body.get("stream"):
        return web.json_response(chat_answer(text))
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for chunk in (chat_chunk({"content": text}), chat_chunk({"content": f" {text}"}, "stop")):
        await response.write(sse(chunk))
        await asyncio.sleep(0)
    await response.write(b"data: [DONE]\n\n")
    return response


@dataclass
class Caller:
    """A client that calls without a pause on one connection, or a new one for each call."""

    url: str
    numbers: Callable[[str], int]
    stream: bool = False
    keep: bool = True
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    stopped: bool = False
    seen: set[int] = field(default_factory=set)

    async def run(self) -> None:
        last = 0
        connector = aiohttp.TCPConnector(limit=1, force_close=not self.keep)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not self.stopped:
                try:
                    number = await self._call(session)
                except (aiohttp.ClientError, AssertionError, TimeoutError) as error:
                    self.wrong.append(f"{type(error).__name__}: {error}")
                    continue
                if self.keep and number < last:
                    self.wrong.append(f"went back from {last} to {number}")
                last = number
                self.seen.add(number)
                self.answered += 1

    async def _call(self, session: aiohttp.ClientSession) -> int:
        body = {**ASK, "stream": self.stream}
        async with session.post(f"{self.url}/v1/messages", json=body) as response:
            text = await response.text()
            assert response.status == 200, text
        number = self.numbers(response.headers["x-portbroker-revision"])
        marks = (response.headers["x-portbroker-provider"], response.headers["x-portbroker-model"])
        assert marks == (f"P{number}", f"m{number}"), f"{marks} in revision {number}"
        assert f"m{number} sk-{number}" in text, f"revision {number}: {text}"
        if self.stream:
            assert text.count(f"m{number} sk-{number}") == 2, text
            assert "message_stop" in text, text
        return number


@dataclass
class Numbers:
    """Which number a revision bears."""

    known: dict[str, int] = field(default_factory=dict)

    def __call__(self, revision: str) -> int:
        return self.known[revision]

    def note(self, text: str, number: int) -> str:
        self.known[revision_of(text)] = number
        return text
