"""A gateway before the cells of a fault grid: every pair of dialects, whole and streamed, each with a model of its own.

The one rule: the cells of one fault share a gateway and run at once, as calls do; afterwards it must be quiet again.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import aiohttp
import pytest

from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.registry import DIALECTS
from portbroker.errors import ProviderError
from portbroker.mock import Mock, serving
from portbroker.sse import SSEParser
from tests.upstream_faults import SECRET
from tests.wire_providers import Script, WireProvider, scripted


@dataclass(frozen=True)
class Cell:
    """One call: who asks, who answers, how."""

    says: str
    speaks: str
    stream: bool
    number: int

    def __str__(self) -> str:
        return f"{self.says} from {self.speaks}, {'streamed' if self.stream else 'whole'}"


CELLS = [Cell(*pair, number) for number, pair in enumerate(product(DIALECTS, DIALECTS, (False, True)))]
STREAMED = [cell for cell in CELLS if cell.stream]


@dataclass
class Got:
    """What the client of a cell got, and the line of the log."""

    status: int
    headers: dict[str, str]
    raw: bytes
    line: str = ""
    words: str = ""
    error: str = ""
    pings: int = field(default=0)


NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""


@dataclass(frozen=True)
class Offer:
    """What every cell is offered: a provider of this name, its URL by dialect."""

    name: str
    urls: Callable[[str], str]
    timeout: str = "{first_byte: 9}"
    ca_file: str = ""


def config(cells: list[Cell], offers: list[Offer]) -> str:
    """For each cell a model of its own, served by these providers in this order."""
    lines = ["retry: {same_target: 0}", "providers:"]
    for cell in cells:
        lines += [
            f"  - {{name: {offer.name}{cell.number}, provider_type: custom, base_url: '{offer.urls(cell.speaks)}/v1',"
            f" api_key: {SECRET}, priority: {at}, models: [m{cell.number}], timeout: {offer.timeout},"
            f"{f' ca_file: {offer.ca_file},' if offer.ca_file else ''} translation: {{dialect: {cell.speaks}}}}}"
            for at, offer in enumerate(offers, 1)
        ]
    return "\n".join(lines) + "\n"


@dataclass
class Grid:
    """A gateway before all cells of one fault."""

    cells: list[Cell]
    listening: Listening
    session: aiohttp.ClientSession
    lines: pytest.LogCaptureFixture
    faulty: dict[str, WireProvider]

    async def run(self) -> list[tuple[Cell, Got]]:
        """Every cell's call, at once."""
        got = await asyncio.gather(*map(self._one, self.cells))
        return list(zip(self.cells, got, strict=True))

    async def _one(self, cell: Cell) -> Got:
        async with self.session.post(self.listening.url + "/v1" + DIALECTS[cell.says].path, json=ask(cell)) as answer:
            raw = await answer.read()
            headers = {name.lower(): value for name, value in answer.headers.items()}
        assert SECRET not in f"{headers}{raw!r}"
        got = Got(answer.status, headers, raw)
        read(cell, got)
        got.line = self.line(headers["request-id"])
        return got

    def line(self, request_id: str) -> str:
        """What the log says of this call."""
        return next(said for r in self.lines.get_records("call") if request_id in (said := r.getMessage()))


def ask(cell: Cell) -> Json:
    prompt = {"role": "user", "content": "hi"}
    body: Json = {"model": f"m{cell.number}", "stream": cell.stream}
    if cell.says == "openai.responses":
        return body | {"input": [prompt]}
    if cell.says == "openai.chat":
        return body | {"messages": [prompt]} | ({"stream_options": {"include_usage": True}} if cell.stream else {})
    return body | {"max_tokens": 9, "messages": [prompt]}


def read(cell: Cell, got: Got) -> None:
    """What a client of this dialect makes of it; anything that is not of the dialect fails here."""
    if "event-stream" in got.headers["content-type"]:
        _read_stream(cell, got)
    elif got.status == 200:
        answer = DIALECTS[cell.says].decode_answer(json.loads(got.raw), AnswerContext(), Report())
        got.words = answer["content"][0]["text"]
    else:
        body = json.loads(got.raw)
        assert (body.get("type") == "error") == (cell.says == "anthropic.messages"), cell
        got.error = body["error"]["message"]
        assert "<" not in got.error


def _read_stream(cell: Cell, got: Got) -> None:
    decoder = DIALECTS[cell.says].stream_decoder(AnswerContext(), Report())
    got.pings = got.raw.count(b"ping\n")
    parser = SSEParser()
    try:
        for _, data in [*parser.feed(got.raw), *parser.finish()]:
            for event in decoder.done() if data == b"[DONE]" else decoder.feed(json.loads(data)):
                assert event["type"] != "message_start" or not got.words, f"{cell}: two answers in one"
                got.words += (event.get("delta") or {}).get("text", "")
        decoder.finish()
    except ProviderError as error:
        got.error = str(error)


@contextlib.asynccontextmanager
async def grid(
    lines: pytest.LogCaptureFixture, script: Callable[[str], Script] | str, *, last: bool,
    after_a_dead_one: bool = False, cells: list[Cell] = CELLS, first_byte: float = 5, idle: float = 5,
    tls: ssl.SSLContext | None = None, ca_file: str = "",
) -> AsyncIterator[Grid]:  # fmt: skip
    """A gateway whose targets F follow the script (or are there, where nobody is), with sound ones G after them unless
    F is the last, and perhaps D before them, who is never there.

    When the block ends, the gateway must be quiet again.
    """
    async with contextlib.AsyncExitStack() as stack:
        faulty: dict[str, WireProvider] = {}
        if not isinstance(script, str):
            for speaks in DIALECTS:
                faulty[speaks] = await stack.enter_async_context(scripted(script(speaks), tls))
        sound = await stack.enter_async_context(serving(Mock("sound", pace=0)))
        times = f"{{connect: 5, first_byte: {first_byte}, idle: {idle}, total: 10}}"
        here = (lambda speaks: faulty[speaks].url) if faulty else (lambda _: str(script))
        offers = [Offer("D", lambda _: NOBODY)] if after_a_dead_one else []
        offers += [Offer("F", here, times, ca_file)] + ([] if last else [Offer("G", lambda _: sound.url)])
        loaded = load_text(config(cells, offers).encode(), file="test.yaml", directory=Path("/"), environ={})
        listening = await stack.enter_async_context(
            running(compile_snapshot(loaded), host="127.0.0.1", port=0, max_body=1024 * 1024)
        )
        before = _tasks()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            yield Grid(cells, listening, session, lines, faulty)
        async with asyncio.timeout(2):
            await _quiet(listening, list(faulty.values()), before)


def _tasks() -> int:
    """How many tasks there are beside those of the providers, which keep what is idle."""
    return sum(not task.get_coro().__qualname__.startswith("scripted.") for task in asyncio.all_tasks())  # type: ignore[union-attr]


async def _quiet(listening: Listening, providers: list[WireProvider], before: int) -> None:
    """Returns when nobody is connected, no attempt goes on and nothing is left over."""
    pools = list(listening.upstream._pools.values())
    while (
        listening.clients._open
        or any(len(pool.connections) != len(pool._idle) or pool._waiting or pool._dialling for pool in pools)
        or sum(provider.open for provider in providers) > sum(len(pool._idle) for pool in pools)
        or _tasks() > before + sum(len(pool._idle) for pool in pools)  # a sound provider has a task for each
    ):
        await asyncio.sleep(0.005)
