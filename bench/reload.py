"""The proof that a reload costs no call: `python -m bench.reload --seconds 30 --workers 1 2 4`.

Clients call without a pause, whole answers and streams, on connections that they keep and on new ones, while the file
is replaced every 30 ms. Each revision has a provider, a key and a model of its own, so that an answer that is mixed of
two shows. Then saves are left to the watcher and timed. The exit status is 1 when a single call failed or was mixed.

With `--reloads 10000` a server is reloaded so often, under the same calls, a broken file now and then, and looked at on
the way: memory, open files and tasks must not grow.
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.providers import serving
from tests.reloads import Caller, Numbers, echo, marked, replace, revision_of

EVERY = 0.03


@dataclass
class Server:
    """The real command and what its log says."""

    process: asyncio.subprocess.Process
    served: dict[str, float] = field(default_factory=dict)
    """When a revision was first served."""
    url: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode()
            if found := re.search(r": revision (\w{12}), was", line):
                self.served.setdefault(found[1], time.monotonic())
            if found := re.search(r"serving (http://[\d.:]+)", line):
                self.url = found[1]
            if "Traceback" in line or "ERROR" in line:
                print(line, end="", file=sys.stderr)
            self.news.set()

    async def until_served(self, revision: str) -> float:
        async with asyncio.timeout(30):
            while revision not in self.served:
                self.news.clear()
                await self.news.wait()
        return self.served[revision]

    def memory(self) -> float:
        """MiB that the command and its processes hold."""
        return sum(_resident(pid) for pid in [self.process.pid, *self.children()])

    def children(self) -> list[int]:
        """Its processes."""
        return list(map(int, Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()))

    async def tasks(self) -> int:
        """The tasks of the event loop that answers, as its metrics tell them."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as response:
            found = re.search(r"^portbroker_tasks (\d+)", await response.text(), re.MULTILINE)
        assert found
        return int(found[1])


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.asynccontextmanager
async def command(path: Path, workers: int) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "portbroker", str(path), "--port", "0", "--workers", str(workers), "--log", "failures",
        stderr=subprocess.PIPE,
    )  # fmt: skip
    server = Server(process)
    reading = asyncio.create_task(server.read())
    try:
        while not server.url:
            server.news.clear()
            await server.news.wait()
        yield server
    finally:
        process.terminate()
        await process.wait()
        await reading


async def measure(workers: int, seconds: float, timed: int) -> bool:
    """Print a row; whether no call was harmed."""
    numbers = Numbers()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "portbroker.yaml"
        async with serving(echo) as provider:
            path.write_text(numbers.note(marked(provider.url, 1), 1))
            async with command(path, workers) as server:
                kinds = [(stream, keep) for stream in (False, True) for keep in (True, False)] * 2
                callers = [Caller(server.url, numbers, stream, keep) for stream, keep in kinds]
                async with asyncio.TaskGroup() as tasks:
                    for caller in callers:
                        tasks.create_task(caller.run())
                    last = await _storm(server, path, provider.url, numbers, seconds)
                    reloads, memory = len(server.served), server.memory()
                    times = await _timed(server, path, provider.url, numbers, range(last + 1, last + 1 + timed))
                    for caller in callers:
                        caller.stopped = True
    wrong = [fault for caller in callers for fault in caller.wrong]
    calls = sum(caller.answered for caller in callers)
    failed = sum("in revision" not in fault and "went back" not in fault for fault in wrong)
    took = (round(seconds * 1000) for seconds in (statistics.median(times), times[-1]))
    row = (workers, reloads, calls, failed, len(wrong) - failed, *took, round(memory))
    print(*(str(cell).rjust(8) for cell in row), flush=True)
    for fault in wrong[:5]:
        print(f"        {fault}", file=sys.stderr)
    return not wrong


async def _storm(server: Server, path: Path, url: str, numbers: Numbers, seconds: float) -> int:
    number, end = 1, time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        replace(path, numbers.note(marked(url, number), number))
        server.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(EVERY)
    await server.until_served(revision_of(marked(url, number)))
    return number


async def _timed(server: Server, path: Path, url: str, numbers: Numbers, saves: range) -> list[float]:
    """Seconds from a save to its effect, the longest last, when nobody but the watcher tells."""
    times = []
    for number in saves:
        began = time.monotonic()
        replace(path, text := numbers.note(marked(url, number), number))
        times.append(await server.until_served(revision_of(text)) - began)
    return sorted(times)


# many


@dataclass(frozen=True)
class Held:
    """What a server and its processes hold."""

    reloads: int
    memory: float
    files: int
    threads: int
    tasks: int


async def _held(server: Server, reloads: int) -> Held:
    processes = [server.process.pid, *server.children()]
    files = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes)
    threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in processes)
    return Held(reloads, server.memory(), files, threads, await server.tasks())


async def endure(workers: int, reloads: int) -> bool:
    """Print what is held after each tenth of the reloads; whether nothing grows and no call was harmed."""
    numbers, held = Numbers(), list[Held]()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "portbroker.yaml"
        async with serving(echo) as provider:
            path.write_text(numbers.note(marked(provider.url, 1), 1))
            async with command(path, workers) as server:
                callers = [Caller(server.url, numbers, stream, keep) for stream, keep in ((False, True), (True, False))]
                async with asyncio.TaskGroup() as tasks:
                    for caller in callers:
                        tasks.create_task(caller.run())
                    for number in range(2, reloads + 2):
                        if number % 50 == 0:
                            replace(path, "providers: [")
                            server.process.send_signal(signal.SIGHUP)
                            await asyncio.sleep(EVERY)
                        replace(path, text := numbers.note(marked(provider.url, number), number))
                        server.process.send_signal(signal.SIGHUP)
                        await server.until_served(revision_of(text))
                        if (number - 1) % (reloads // 10) == 0:
                            held.append(await _held(server, number - 1))
                            _print_held(workers, held[-1])
                    for caller in callers:
                        caller.stopped = True
    wrong = [fault for caller in callers for fault in caller.wrong]
    print(f"{sum(caller.answered for caller in callers)} calls, {len(wrong)} failed or mixed", *wrong[:5], sep="\n  ")
    return not wrong and not _grows(held)


def _print_held(workers: int, held: Held) -> None:
    row = (workers, held.reloads, round(held.memory), held.files, held.threads, held.tasks)
    print(*(str(cell).rjust(8) for cell in row), flush=True)


def _grows(held: list[Held]) -> bool:
    """Whether the second half holds more than the first did at its end: a tenth of the memory, a few open files."""
    middle, last = held[len(held) // 2 - 1], held[-1]
    grown = {
        "memory": last.memory > middle.memory * 1.1,
        "files": last.files > middle.files + 8,
        "threads": last.threads > middle.threads + 4,
        "tasks": last.tasks > middle.tasks + 4,
    }
    for name in (name for name, more in grown.items() if more):
        print(f"{name} grew", file=sys.stderr)
    return any(grown.values())


async def endure_all(workers: list[int], reloads: int) -> bool:
    """Whether all went well for every number of workers."""
    print(*(head.rjust(8) for head in ("workers", "reloads", "MiB", "files", "threads", "tasks")))
    return all([await endure(count, reloads) for count in workers])


async def prove(workers: list[int], seconds: float, timed: int) -> bool:
    """Whether all went well for every number of workers."""
    heads = ("workers", "reloads", "calls", "failed", "mixed", "p50 ms", "max ms", "MiB")
    print(*(head.rjust(8) for head in heads))
    return all([await measure(count, seconds, timed) for count in workers])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of reloading, for each number of workers")
    parser.add_argument("--timed", type=int, default=40, help="saves that are left to the watcher and timed")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--reloads", type=int, help="instead, so many reloads each, and what is held meanwhile")
    args = parser.parse_args()
    proof = endure_all(args.workers, args.reloads) if args.reloads else prove(args.workers, args.seconds, args.timed)
    return 0 if asyncio.run(proof) else 1


if __name__ == "__main__":
    sys.exit(main())
