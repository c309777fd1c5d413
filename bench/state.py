"""`bench/state`: random calls over two workers while everything happens to them; then the books are checked.

Streams are cut, clients leave, workers are killed, the database goes away for a while. Afterwards each call is in the
books at most once, and once if its client has heard the end; its tokens are those that the provider counted; the sums
are those of the rows; and no budget is overspent. The one rule: the provider counts for itself.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import aiohttp
from aiohttp import web

from bench.sides import free_port
from portbroker.config.load import load
from portbroker.keys import Pepper, issue
from portbroker.spool import segments
from portbroker.store import Store
from portbroker.store.ids import uuid7
from portbroker.store.opening import make_store
from portbroker.store.records import AuditEntry, Budget, KeyLimits, UsageEvent, UsageFilter, UsageQuery
from tests.postgresql import Server
from tests.providers import events, serving

Plan = Literal["whole", "stream", "cut", "gone", "fail"]
PLANS: tuple[Plan, ...] = ("whole", "whole", "stream", "stream", "cut", "gone", "fail")
INPUT, MOST_OUTPUT = 12, 40
"""Tokens: fewer in than any estimate of the body says, and no more out than the body asks for."""
PRICE = {"input": 1, "output": 2}
AT_ONCE = 48
WORKERS = 2
SETTLE = 60.0
"""Seconds in which everything must be in the database once the load is over."""


@dataclass
class Call:
    """One call: what is to happen to it, and what did."""

    id: int
    plan: Plan
    key: int
    output: int
    verdict: str = ""
    status: int = 0
    sent: tuple[int, int] = (0, 0)
    """Tokens in and out that the provider has told, so far."""
    began: float = 0.0
    ended: float = 0.0

    @property
    def model(self) -> str:
        return f"m-{self.id}"


@dataclass
class Trial:
    """What is asked for, and what has happened."""

    calls: list[Call]
    kills: int
    outage: float
    killed: list[float] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    budgets: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(bool(call.verdict) for call in self.calls)


# the provider


def provider_of(trial: Trial) -> Any:
    """Answers each call as its plan says, and notes what it has told of tokens."""

    async def behave(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        call = trial.calls[int(body["model"].removeprefix("m-"))]
        if call.plan == "fail":
            return web.json_response({"type": "error", "error": {"type": "api_error", "message": "no"}}, status=500)
        if call.plan == "whole":
            call.sent = (INPUT, call.output)
            return web.json_response(_message(call.output))
        return await _stream(request, call)

    return behave


async def _stream(request: web.Request, call: Call) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    call.sent = (INPUT, 0)
    await response.write(events(
        {"type": "message_start", "message": {**_message(0), "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    ))  # fmt: skip
    if call.plan == "cut":
        await asyncio.sleep(0.01)
        assert request.transport is not None
        request.transport.abort()
    elif call.plan == "gone":
        await asyncio.sleep(20)  # the client leaves long before
    else:
        call.sent = (INPUT, call.output)
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        await response.write(events(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": call.output}},
            {"type": "message_stop"},
        ))  # fmt: skip
    return response


def _message(output: int) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
        "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": INPUT, "output_tokens": output},
    }  # fmt: skip


# the clients


async def load_with(trial: Trial, url: str) -> None:
    """Make all calls, so many at once."""
    left = iter(trial.calls)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=90)) as session:
        await asyncio.gather(*(_client(session, url, trial, left) for _ in range(AT_ONCE)))


async def _client(session: aiohttp.ClientSession, url: str, trial: Trial, left: Iterator[Call]) -> None:
    for call in left:
        call.began = time.monotonic()
        try:
            call.verdict = await _make(session, url, trial, call)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            call.verdict = "broken"
        call.ended = time.monotonic()


async def _make(session: aiohttp.ClientSession, url: str, trial: Trial, call: Call) -> str:
    body = {
        "model": call.model, "max_tokens": MOST_OUTPUT, "stream": call.plan not in ("whole", "fail"),
        "messages": [{"role": "user", "content": "a few words that are more than the tokens which are counted"}],
    }  # fmt: skip
    headers = {"x-api-key": trial.secrets[call.key]}
    async with session.post(f"{url}/v1/messages", json=body, headers=headers) as response:
        call.status = response.status
        if call.plan == "gone" and response.status == 200:
            await response.content.readany()
            response.close()
            return "left"
        await response.read()
        return "answered" if response.status == 200 else "refused"


# what happens to them


@dataclass
class Serving:
    """The gateway under load: a supervisor and its workers."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def workers(self) -> list[int]:
        """Those that serve now."""
        told = re.findall(r"worker (\d+) serves", self.log.read_text())
        return [int(pid) for pid in dict.fromkeys(told) if _alive(int(pid))]


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


async def kill_workers(trial: Trial, serving: Serving) -> None:
    """Kill one worker after another, spread over the whole load."""
    for number in range(trial.kills):
        due = (number + 1) * len(trial.calls) // (trial.kills + 1)
        while trial.done < due:
            await asyncio.sleep(0.02)
        while not (alive := serving.workers()):
            await asyncio.sleep(0.02)
        trial.killed.append(time.monotonic())
        os.kill(random.choice(alive), signal.SIGKILL)


class OnSqlite:
    """A file beside the configuration; it goes away when another program keeps it locked."""

    words = "{type: sqlite}"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "portbroker.db"
        self._other: sqlite3.Connection | None = None

    async def go(self) -> None:
        self._other = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        self._other.execute("BEGIN EXCLUSIVE")

    async def come_back(self) -> None:
        if self._other is not None:
            self._other.execute("ROLLBACK")
            self._other.close()

    def end(self) -> None:
        """Nothing runs."""


class OnPostgresql:
    """A server of our own; it goes away as when its machine loses its power."""

    def __init__(self, _: Path) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="state-pg-")  # not below `folder`: the server is another user
        self._server = Server(Path(self._place.name))
        self._server.make(fsync=True)
        self._server.start()
        self.words = f'{{type: postgresql, url: "{self._server.url}"}}'

    async def go(self) -> None:
        await asyncio.to_thread(self._server.stop)

    async def come_back(self) -> None:
        await asyncio.to_thread(self._server.start)

    def end(self) -> None:
        self._server.stop()
        self._place.cleanup()


async def take_away(trial: Trial, database: OnSqlite | OnPostgresql) -> None:
    """In the middle of the load, the database is gone for a while."""
    while trial.done < len(trial.calls) * 2 // 5:
        await asyncio.sleep(0.02)
    await database.go()
    try:
        await asyncio.sleep(trial.outage)
    finally:
        await database.come_back()


# the whole


FILE = """\
server: {{workers: {workers}}}
auth: {{calls: key}}
database: {database}
providers:
  - {{name: P, provider_type: anthropic, base_url: "{provider}/v1", api_key: sk-x, models: ["m-*"]}}
retry: {{same_target: 0}}
breaker: {{failures: 100000, error_rate: 1.0, least_calls: 100000}}
catalog:
  "m-*": {{price: {{input: {input}, output: {output}}}, max_output_tokens: {most}}}
"""


async def prove(count: int, kills: int, outage: float, kind: str, seed: int, folder: Path) -> dict[str, Any]:
    """The figures. Raises AssertionError for books that are wrong."""
    chance = random.Random(seed)
    calls = [Call(n, chance.choice(PLANS), chance.randrange(4), chance.randrange(1, MOST_OUTPUT)) for n in range(count)]
    trial = Trial(calls, kills, outage)
    database = OnSqlite(folder) if kind == "sqlite" else OnPostgresql(folder)
    secret = secrets.token_hex(32)
    try:
        async with serving(provider_of(trial)) as provider:
            file = folder / "portbroker.yaml"
            file.write_text(FILE.format(workers=WORKERS, database=database.words, provider=provider.url,
                                        most=MOST_OUTPUT, **PRICE))  # fmt: skip
            store = make_store(load(file, environ={"SECRET_KEY": secret}).config.database, folder)
            await _make_keys(store, trial, secret)
            began = time.monotonic()
            async with _gateway(file, folder, secret) as (url, gateway):
                await asyncio.gather(load_with(trial, url), kill_workers(trial, gateway), take_away(trial, database))
                seconds = time.monotonic() - began
                await _settled(folder / ".portbroker" / "spool")
            return {"seconds": round(seconds, 1), **await _checked(store, trial)}
    finally:
        database.end()


async def _make_keys(store: Store, trial: Trial, secret: str) -> None:
    """One key that may spend anything, and three for which about half of their calls are enough."""
    await store.open()
    pepper = Pepper(secret.encode())
    await store.check_pepper(pepper.fingerprint)
    cost = sum(_cost(INPUT, call.output) for call in trial.calls if call.plan in ("whole", "stream"))
    for number in range(4):
        budget = Budget(max(1_000_000, cost // 8), "total") if number else None
        key, shown = issue(
            pepper, f"key {number}", 1, budget=budget, limits=KeyLimits(concurrent=1000), admin=not number
        )
        await store.insert_key(key, AuditEntry(uuid7(1), 1, "bench", "key.created", key.id))
        trial.secrets.append(shown)
        if budget:
            trial.budgets[key.id] = budget.amount_nano
    await store.close()


@contextlib.asynccontextmanager
async def _gateway(file: Path, folder: Path, secret: str) -> AsyncIterator[tuple[str, Serving]]:
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "portbroker", str(file), "--port", str(port), "--log", "failures"]
    with log.open("wb") as into:
        process = _started(command, secret, into)
    try:
        gateway = Serving(process, log)
        async with asyncio.timeout(60):
            while len(gateway.workers()) < WORKERS:
                assert process.poll() is None, log.read_text()[-2000:]
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}", gateway
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0, log.read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _started(command: list[str], secret: str, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env={**os.environ, "SECRET_KEY": secret}, stderr=log)


async def _settled(spool: Path) -> None:
    """Returns when nothing waits for the database."""
    async with asyncio.timeout(SETTLE):
        while segments(spool):
            await asyncio.sleep(0.1)


# the books


async def _checked(store: Store, trial: Trial) -> dict[str, Any]:
    await store.open()
    try:
        rows = await _rows(store)
        by_model: dict[str, list[UsageEvent]] = {}
        for row in rows:
            by_model.setdefault(row.model, []).append(row)
        faults = [fault for call in trial.calls if (fault := _fault(call, by_model.get(call.model, []), trial))]
        faults += await _sums(store, rows) + await _budgets(store, rows, trial)
        assert not faults, "\n".join([f"{len(faults)} faults", *faults[:20]])
        return _figures(trial, rows)
    finally:
        await store.close()


async def _rows(store: Store) -> list[UsageEvent]:
    rows: list[UsageEvent] = []
    after: str | None = None
    while True:
        page = await store.events(UsageFilter(), after, 1000)
        rows += page.events
        if (after := page.next) is None:
            return rows


def _fault(call: Call, rows: list[UsageEvent], trial: Trial) -> str:
    """What is wrong with the books of one call."""
    told = f"call {call.id} ({call.plan}, {call.verdict} {call.status})"
    if len(rows) > 1:
        return f"{told} is in the books {len(rows)} times"
    ended = call.verdict in ("answered", "refused", "left") and not _killed_under(call, trial)
    if not rows:
        # Nobody knew whose it was, and so whose it is in the books, while the database was away.
        unknown = call.verdict == "refused" and call.status == 503
        return f"{told} is not in the books" if call.verdict == "answered" or (ended and not unknown) else ""
    counted = (rows[0].input_tokens, rows[0].output_tokens)
    if call.verdict == "answered" and counted != call.sent:
        return f"{told}: {counted} in the books, {call.sent} by the provider"
    if counted not in ((0, 0), (INPUT, 0), (INPUT, call.output)):
        return f"{told}: {counted} in the books, which the provider never said"
    if rows[0].cost_nano != _cost(*counted):
        return f"{told}: costs {rows[0].cost_nano}"
    return ""


def _killed_under(call: Call, trial: Trial) -> bool:
    """Whether a worker was killed while the gateway may have been at it; a client that left does not hear of that."""
    patience = 2.0 if call.verdict == "left" else 0.0
    return any(call.began <= moment <= call.ended + patience for moment in trial.killed)


def _cost(tokens: int, output: int) -> int:
    return (tokens * PRICE["input"] + output * PRICE["output"]) * 1000


async def _sums(store: Store, rows: list[UsageEvent]) -> list[str]:
    """Whether the sums by key are those of the rows."""
    page = await store.usage(UsageQuery(("key",)))
    faults = []
    for name in ("input_tokens", "output_tokens", "cost_nano"):
        of_rows: Counter[str] = Counter()
        for row in rows:
            of_rows[row.key_id] += getattr(row, name)
        of_sums = {group.values[0]: getattr(group, name) for group in page.groups}
        if dict(of_rows) != of_sums:
            faults.append(f"the sums of {name} are {of_sums}, and those of the rows {dict(of_rows)}")
    if sum(group.calls for group in page.groups) != len(rows):
        faults.append(f"the sums count {sum(group.calls for group in page.groups)} calls of {len(rows)}")
    return faults


async def _budgets(store: Store, rows: list[UsageEvent], trial: Trial) -> list[str]:
    """Whether what was spent is what the rows cost, and within the budget."""
    faults = []
    for key, amount in trial.budgets.items():
        spending = await store.spending(key, "total")
        cost = sum(row.cost_nano for row in rows if row.key_id == key)
        if spending.spent_nano != cost or cost > amount:
            faults.append(f"{key}: spent {spending.spent_nano}, rows {cost}, budget {amount}")
    return faults


def _figures(trial: Trial, rows: list[UsageEvent]) -> dict[str, Any]:
    verdicts = Counter(call.verdict for call in trial.calls)
    spent = {key: sum(row.cost_nano for row in rows if row.key_id == key) for key in trial.budgets}
    return {
        "calls": len(trial.calls), **verdicts, "killed": len(trial.killed), "rows": len(rows),
        "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
        "of answered calls, by the provider": sum(sum(c.sent) for c in trial.calls if c.verdict == "answered"),
        "of budgets": " ".join(f"{spent[key] / amount:.1%}" for key, amount in trial.budgets.items()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/state", description="Check the books after everything has happened.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20, help="workers that are killed")
    parser.add_argument("--outage", type=float, default=10.0, help="seconds without the database")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # clients of the provider leave: that is the point
    for kind in ["sqlite", "postgresql"] if asked.database == "both" else [asked.database]:
        with tempfile.TemporaryDirectory(prefix="state-") as folder:
            try:
                found = asyncio.run(prove(asked.calls, asked.kills, asked.outage, kind, asked.seed, Path(folder)))
            except AssertionError as error:
                sys.exit(f"{kind}: {error}")
            print(kind, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
