"""The proof that a reload costs no call: `python -m bench.reload --seconds 30 --workers 1 2 4`.

Clients call without a pause, whole answers and streams, on connections that they keep and on new ones, while the file
is replaced every 30 ms. Each revision has a provider, a key and a model of its own, so that an answer that is mixed of
two shows. Then saves are left to the watcher and timed. The exit status is 1 when a single call failed or was mixed.
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

from tests.providers import serving
from tests.reloads import Caller, Numbers, echo, marked, replace, revision_of

EVERY = 0.03
TIMED = 40
"""Saves that are timed."""


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
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_resident(pid) for pid in [self.process.pid, *map(int, children)])


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


async def measure(workers: int, seconds: float) -> bool:
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
                    times = await _timed(server, path, provider.url, numbers, last)
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


async def _timed(server: Server, path: Path, url: str, numbers: Numbers, last: int) -> list[float]:
    """Seconds from a save to its effect, the longest last, when nobody but the watcher tells."""
    times = []
    for number in range(last + 1, last + 1 + TIMED):
        began = time.monotonic()
        replace(path, text := numbers.note(marked(url, number), number))
        times.append(await server.until_served(revision_of(text)) - began)
    return sorted(times)


async def prove(workers: list[int], seconds: float) -> bool:
    """Whether all went well for every number of workers."""
    heads = ("workers", "reloads", "calls", "failed", "mixed", "p50 ms", "max ms", "MiB")
    print(*(head.rjust(8) for head in heads))
    return all([await measure(count, seconds) for count in workers])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of reloading, for each number of workers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    args = parser.parse_args()
    return 0 if asyncio.run(prove(args.workers, args.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
