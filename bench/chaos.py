"""`bench/chaos`: providers that flap, reset and stall under many calls at once, and one that is sound throughout.

The one rule: what the sound one could have answered must be answered, whole and once, or the run fails.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.sides import SIDE_CORE, Side, free_port, started
from portbroker.conversation import AnswerContext, Report
from portbroker.dialects.registry import DIALECTS
from portbroker.errors import ProviderError
from portbroker.mock import Mock, behaviour_of, serving
from portbroker.sse import SSEParser

FAULTS = (
    "plain", "slow-100ms", "fail-500", "fail-503", "fail-429", "fail-401", "reset", "hang", "empty", "html",
    "cut-after-0", "cut-after-3", "error-in-stream", "slow-100ms+reset", "slow-50ms+cut-after-5",
)  # fmt: skip
MOST_MEGABYTES = 24.0
"""How much memory the gateway may hold at the end beyond what it held once it was warm."""
REST = 10.0
"""Seconds in which the gateway must have closed what clients and providers left, to the last socket."""
PATIENCE = ((0.3, 2), (0.3, 2), (30, 30))
"""Seconds for the first byte and between two events, by provider: the sound one may share a busy machine."""
_END = "That is all."

_CONFIG = """\
retry: {{attempts: 8, same_target: 1, wait: 20s}}
breaker: {{cool_down: 0.2s, longest: 0.5s}}
stored_responses: {{memory: 1000000}}
providers:
"""
_PROVIDER = """\
  - name: {name}
    provider_type: custom
    base_url: {url}/v1
    priority: {priority}
    models: [m]
    translation: {{dialect: {dialect}}}
    timeout: {{connect: 2s, first_byte: {first}s, idle: {idle}s}}
"""


@dataclass
class Figures:
    """What came of it. `lost`, `truncated` and `duplicated` must stay 0; `cut` streams said so."""

    calls: int = 0
    whole: int = 0
    cut: int = 0
    tried_again: int = 0
    lost: int = 0
    truncated: int = 0
    duplicated: int = 0
    seconds: float = 0.0
    memory_begin: float = 0.0
    memory_end: float = 0.0
    sockets_begin: int = 0
    sockets_end: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether all of it is as it must be."""
        flat = self.memory_end - self.memory_begin < MOST_MEGABYTES and self.sockets_end <= self.sockets_begin
        return flat and self.calls > 0 and not (self.lost or self.truncated or self.duplicated)

    def blame(self, what: str, *evidence: object) -> None:
        """Count something that must not be, and keep the first of them."""
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 10:
            self.examples.append(f"{what}: {' '.join(map(str, evidence))[:600]}")


def main() -> None:
    asked = _arguments()
    figures = asyncio.run(_run(asked))
    print(json.dumps(asdict(figures), indent=2, ensure_ascii=False))
    sys.exit(0 if figures.sound else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/chaos", description="Rehearse every outage at once, and count what is lost."
    )
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--calls", type=int, default=200, help="calls at once")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


async def _run(asked: argparse.Namespace) -> Figures:
    figures, dice = Figures(), random.Random(asked.seed)
    async with contextlib.AsyncExitStack() as providers, contextlib.AsyncExitStack() as gateway:
        mocks = [
            await providers.enter_async_context(serving(Mock(name, pace=0.002))) for name in ("one", "two", "sound")
        ]
        side = gateway.enter_context(_gateway(mocks))
        figures.sockets_begin = _sockets(side)
        async with _flapping(mocks[:-1], dice):
            await _load(side, Figures(), asked.calls, min(5.0, asked.minutes * 20))  # until it is warm
            figures.memory_begin = side.memory()
            await _load(side, figures, asked.calls, asked.minutes * 60)
            figures.memory_end = side.memory()
        await providers.aclose()
        figures.sockets_end = await _sockets_at_rest(side, figures.sockets_begin)
    return figures


async def _sockets_at_rest(side: Side, before: int) -> int:
    """How many sockets are open once the gateway has seen that nobody is there any more."""
    until = time.monotonic() + REST
    while _sockets(side) > before and time.monotonic() < until:
        await asyncio.sleep(0.1)
    return _sockets(side)


@contextlib.asynccontextmanager
async def _flapping(mocks: list[Mock], dice: random.Random) -> AsyncIterator[None]:
    """Mocks that change what they do until the context ends."""
    tasks = [asyncio.create_task(_flap(mock, random.Random(dice.random()))) for mock in mocks]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _gateway(mocks: list[Mock]) -> Iterator[Side]:
    """A gateway that asks the sound mock last."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        file = Path(folder) / "portbroker.yaml"
        file.write_text(_CONFIG.format() + "".join(
            _PROVIDER.format(name=mock.name, url=mock.url, priority=at, dialect=dialect, first=first, idle=idle)
            for at, (mock, dialect, (first, idle)) in enumerate(zip(mocks, DIALECTS, PATIENCE, strict=True), 1)
        ))  # fmt: skip
        port = free_port()
        command = [sys.executable, "-m", "portbroker", "serve", str(file), "--port", str(port), "--log", "failures"]
        with started("portbroker", port, command, SIDE_CORE) as side:
            yield side


async def _flap(mock: Mock, dice: random.Random) -> None:
    """Change what the mock does, again and again."""
    while True:
        mock.behaviour = behaviour_of(dice.choice(FAULTS))
        await asyncio.sleep(dice.uniform(0.05, 0.5))


def _sockets(side: Side) -> int:
    """How many of TCP it has open, the one that it listens on among them."""
    lines = [line.split() for line in Path(f"/proc/{side.pid}/net/tcp").read_text().splitlines()[1:]]
    tcp, count = {f"socket:[{fields[9]}]" for fields in lines}, 0
    for file in Path(f"/proc/{side.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            count += os.readlink(file) in tcp
    return count


async def _load(side: Side, figures: Figures, calls: int, seconds: float) -> None:
    """So many callers, each with one call after the other."""
    began = time.monotonic()
    seen: set[str] = set()

    async def caller(number: int) -> None:
        dice, count = random.Random(number), 0
        while time.monotonic() < began + seconds:
            count += 1
            says, stream = dice.choice(list(DIALECTS)), dice.random() < 0.6
            await _call(side, session, figures, seen, f"n{number}-{count}", says=says, stream=stream)

    limits = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*map(caller, range(calls)))
    figures.seconds = round(time.monotonic() - began, 1)


async def _call(
    side: Side, session: aiohttp.ClientSession, figures: Figures, seen: set[str], nonce: str, *, says: str, stream: bool
) -> None:
    """One call, and the verdict on it."""
    prompt = {"role": "user", "content": nonce}
    body = {"model": "m", "stream": stream} | (
        {"input": [prompt]} if says == "openai.responses" else {"messages": [prompt]}
    )
    body |= {"max_tokens": 50} if says == "anthropic.messages" else {}
    figures.calls += 1
    try:
        async with session.post(f"http://127.0.0.1:{side.port}/v1{DIALECTS[says].path}", json=body) as answer:
            raw = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        figures.blame("lost", nonce, says, stream, repr(error))
        return
    figures.tried_again += answer.headers.get("x-portbroker-attempts", "1") != "1"
    if answer.status != 200:
        figures.blame("lost", nonce, says, stream, answer.status, raw)
        return
    words, broken = _read(says, raw, stream=stream)
    _judge(figures, seen, nonce, words, broken, raw)


def _judge(figures: Figures, seen: set[str], nonce: str, words: str, broken: bool, raw: bytes) -> None:
    origin, known, _ = words.partition(".")  # Mock answer 7 of one
    if words.count("Mock answer ") > 1 or (known and origin in seen):
        figures.blame("duplicated", nonce, raw)
    elif broken:
        if words:
            figures.cut += 1
        else:
            figures.blame("lost", nonce, raw)  # it had said nothing yet, so another could have
    elif not words.endswith(_END) or f"“{nonce}”" not in words:
        figures.blame("truncated", nonce, raw)
    else:
        figures.whole += 1
    if known:
        seen.add(origin)


def _read(says: str, raw: bytes, *, stream: bool) -> tuple[str, bool]:
    """The words of an answer, and whether it says itself that it broke."""
    if not stream:
        return _text(DIALECTS[says].decode_answer(json.loads(raw), AnswerContext(), Report())["content"]), False
    decoder, words, parser = DIALECTS[says].stream_decoder(AnswerContext(), Report()), "", SSEParser()
    try:
        for _, data in [*parser.feed(raw), *parser.finish()]:
            events = decoder.done() if data == b"[DONE]" else decoder.feed(json.loads(data))
            words += _text([event.get("delta") or {} for event in events])
        decoder.finish()
    except ProviderError:
        return words, True
    return words, False


def _text(parts: list[dict[str, Any]]) -> str:
    return "".join(part.get("text") or "" for part in parts)


if __name__ == "__main__":
    main()
