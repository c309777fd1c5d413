"""Every fault of a provider, in every pair of dialects, whole and streamed, at the first target and at the last one.

Each cell says what its client gets, how many attempts there were and what was recorded; and afterwards the gateway is
quiet again. The cells of one fault share a gateway and run at once, as calls do.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import aiohttp
import pytest

from portbroker import relay
from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.registry import DIALECTS
from portbroker.errors import ProviderError
from portbroker.mock import Mock, serving
from portbroker.sse import SSEParser
from tests.upstream_faults import AFTER_CONTENT, HARMLESS, SAID, SECRET, WORTHLESS, breaking
from tests.wire_providers import Script, WireProvider, scripted

ENDS = {"openai.chat": b"[DONE]", "openai.responses": b"response.completed", "anthropic.messages": b"message_stop"}
NOWHERE = {"U1-refused": "http://127.0.0.1:9"}
POSITION = pytest.mark.parametrize("last", [False, True], ids=["first-target", "last-target"])


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


@pytest.fixture(autouse=True)
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, in which every call has its line, and there is neither a traceback nor a secret."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert SECRET not in "".join(record.getMessage() for record in records)


def config(cells: list[Cell], urls: dict[str, str], sound: str, first_byte: float, idle: float) -> str:
    """For each cell a model of its own, served by a provider with the fault and then, if there is one, a sound one."""
    times = f"{{connect: 1, first_byte: {first_byte}, idle: {idle}, total: 10}}"
    lines = ["retry: {same_target: 0}", "providers:"]
    for cell in cells:
        offered = [("F", urls[cell.speaks], first_byte and times)] + (
            [("G", sound, "{first_byte: 9}")] if sound else []
        )
        lines += [
            f"  - {{name: {name}{cell.number}, provider_type: custom, base_url: '{url}/v1', api_key: {SECRET},"
            f" priority: {at}, models: [m{cell.number}], timeout: {timeout},"
            f" translation: {{dialect: {cell.speaks}}}}}"
            for at, (name, url, timeout) in enumerate(offered, 1)
        ]
    return "\n".join(lines) + "\n"


@dataclass
class Grid:
    """A gateway before all cells of one fault."""

    cells: list[Cell]
    listening: Listening
    session: aiohttp.ClientSession
    lines: pytest.LogCaptureFixture

    async def run(self) -> list[tuple[Cell, Got]]:
        """Every cell's call, at once."""
        got = await asyncio.gather(*map(self._one, self.cells))
        return list(zip(self.cells, got, strict=True))

    async def _one(self, cell: Cell) -> Got:
        async with self.session.post(self.listening.url + "/v1" + DIALECTS[cell.says].path, json=_ask(cell)) as answer:
            raw = await answer.read()
            headers = {name.lower(): value for name, value in answer.headers.items()}
        assert SECRET not in f"{headers}{raw!r}"
        got = Got(answer.status, headers, raw)
        _read(cell, got)
        recorded = [r.getMessage() for r in self.lines.get_records("call") if headers["request-id"] in r.getMessage()]
        got.line = recorded[-1]
        return got


def _ask(cell: Cell) -> Json:
    prompt = {"role": "user", "content": "hi"}
    body: Json = {"model": f"m{cell.number}", "stream": cell.stream}
    if cell.says == "openai.responses":
        return body | {"input": [prompt]}
    if cell.says == "openai.chat":
        return body | {"messages": [prompt]} | ({"stream_options": {"include_usage": True}} if cell.stream else {})
    return body | {"max_tokens": 9, "messages": [prompt]}


def _read(cell: Cell, got: Got) -> None:
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
    cells: list[Cell] = CELLS, first_byte: float = 5, idle: float = 5,
) -> AsyncIterator[Grid]:  # fmt: skip
    """A gateway whose first targets follow the script (or are not there), and whose second ones are sound.

    When the block ends, the gateway must be quiet again.
    """
    async with contextlib.AsyncExitStack() as stack:
        faulty: dict[str, WireProvider] = {}
        if not isinstance(script, str):
            for speaks in DIALECTS:
                faulty[speaks] = await stack.enter_async_context(scripted(script(speaks)))
        urls = {speaks: script if isinstance(script, str) else faulty[speaks].url for speaks in DIALECTS}
        sound = await stack.enter_async_context(serving(Mock("sound", pace=0)))
        text = config(cells, urls, "" if last else sound.url, first_byte, idle)
        loaded = load_text(text.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={})
        listening = await stack.enter_async_context(
            running(compile_snapshot(loaded), host="127.0.0.1", port=0, max_body=1024 * 1024)
        )
        before = _tasks()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            yield Grid(cells, listening, session, lines)
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


def _answered(cell: Cell, got: Got, attempts: int, *, counted: bool = True) -> None:
    """The whole answer came, and nothing else."""
    assert got.status == 200, f"{cell}: {got.raw!r}"
    assert got.words.startswith("Mock answer "), cell
    assert got.words.endswith(SAID), cell
    assert got.words.count(SAID) == 1, cell
    assert not got.error, cell
    assert got.headers["x-portbroker-attempts"] == str(attempts), cell
    assert got.headers["x-portbroker-provider"] == f"{'F' if attempts == 1 else 'G'}{cell.number}", cell
    assert "tokens=" in got.line or not counted, cell
    assert "partial" not in got.line, cell
    if cell.stream:
        assert ENDS[cell.says] in got.raw, cell


def _refused(cell: Cell, got: Got, status: int) -> None:
    """An honest error came, from the only one who was asked."""
    assert got.status == (503 if status == 529 and cell.says != "anthropic.messages" else status), (
        f"{cell}: {got.raw!r}"
    )
    assert got.headers["content-type"] == "application/json", cell
    assert got.error, cell
    assert got.headers["x-portbroker-attempts"] == "1", cell
    assert got.headers["x-portbroker-provider"] == f"F{cell.number}", cell
    assert "set-cookie" not in got.headers, cell
    assert f" {got.status} " in got.line, cell
    assert f"F{cell.number}/m{cell.number} (" in got.line, cell


def _settled(results: list[tuple[Cell, Got]], *, last: bool, status: int) -> None:
    for cell, got in results:
        if last:
            _refused(cell, got, status)
        else:
            _answered(cell, got, 2)


@POSITION
@pytest.mark.parametrize("fault", WORTHLESS)
async def test_a_worthless_answer_is_hidden_or_an_honest_error(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "WHOLE_LIMIT", 300_000)
    script, status = WORTHLESS[fault]
    async with grid(lines, lambda _: script, last=last, first_byte=0.5 if fault.startswith("U2") else 5) as here:
        _settled(await here.run(), last=last, status=status)


@POSITION
@pytest.mark.parametrize("fault", NOWHERE)
async def test_who_is_not_there_is_hidden_or_an_honest_error(
    fault: str, last: bool, lines: pytest.LogCaptureFixture
) -> None:
    async with grid(lines, NOWHERE[fault], last=last) as here:
        _settled(await here.run(), last=last, status=502)


@POSITION
@pytest.mark.parametrize("in_event", [False, True], ids=["between-events", "in-an-event"])
@pytest.mark.parametrize("fault", AFTER_CONTENT)
async def test_a_stream_that_breaks_ends_with_an_error_event(
    fault: str, in_event: bool, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "END_AFTER", 0.05)  # that is how long a provider may stay once it has told its error
    idle = 0.3 if fault.startswith("U6") or in_event else 5
    script = lambda speaks: breaking(fault, speaks, in_event=in_event)  # noqa: E731
    async with grid(lines, script, last=last, cells=STREAMED, idle=idle) as here:
        for cell, got in await here.run():
            assert got.status == 200, cell
            assert got.words.startswith("Mock answer 1 of sound."), cell
            assert SAID not in got.words, cell
            assert got.error, cell
            assert ENDS[cell.says] not in got.raw, cell
            assert got.headers["x-portbroker-attempts"] == "1", cell
            assert " partial " in got.line, cell


@POSITION
@pytest.mark.parametrize("fault", HARMLESS)
async def test_what_is_harmless_is_neither_seen_nor_costs_an_attempt(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PING_AFTER", 0.02)
    async with grid(lines, HARMLESS[fault], last=last) as here:
        for _ in range(2):  # the second time on connections that were used before
            for cell, got in await here.run():
                _answered(cell, got, 1, counted=fault not in ("U18-huge", "U18-null"))  # which are no figures at all
                assert got.pings or not (cell.stream and fault == "U7-silence"), cell
