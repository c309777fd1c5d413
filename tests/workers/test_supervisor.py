"""The real command with several workers: real processes, killed and told to stop while clients call."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.providers import answers, chat_answer, chat_stream, serving

PATIENCE = 20
"""Seconds after which something that has not happened never will."""
BODY = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
SERVES = "serves revision"


@dataclass
class Server:
    """A supervisor and its log, line by line."""

    process: asyncio.subprocess.Process
    directory: Path
    lines: list[str] = field(default_factory=list)
    ended: bool = False
    """Whether every process that could write to the log has ended."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            await self._note(line.decode())
        await self._note("")

    async def _note(self, line: str) -> None:
        async with self._news:
            self.lines.append(line)
            self.ended = not line
            self._news.notify_all()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for the log to make it so."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: bool(true()))

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)

    async def said(self, words: str, times: int = 1) -> None:
        await self.until(lambda: self.count(words) >= times)

    async def all_ended(self) -> int:
        """The exit status of the supervisor, once none of its workers lives either."""
        await self.until(lambda: self.ended)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    @property
    def port(self) -> int:
        return int(re.findall(r"serving http://127\.0\.0\.1:(\d+)", "".join(self.lines))[0])

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return set(map(int, children)) - self.watchers()

    def watchers(self) -> set[int]:
        """Those that there have been."""
        return set(map(int, re.findall(r"watcher (\d+) follows", "".join(self.lines))))

    def owner(self, port: int) -> int:
        """The pid of the worker that has the connection from this port of a client."""
        ends = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        inode = next(f"socket:[{end[9]}]" for end in ends if _ports(end) == (self.port, port))
        return next(pid for pid in self.workers() if inode in _open_files(pid))

    def kill(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator["Client"]:
        client = await Client.connect(self)
        try:
            yield client
        finally:
            client.writer.close()


@dataclass
class Answer:
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    """One connection, kept alive, which says exactly when it breaks."""

    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, server: Server) -> "Client":
        return cls(server, *await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, **more: object) -> Answer:
        """Raises ConnectionError or IncompleteReadError when the request is lost."""
        await self.begin(**more)
        return await self.finish()

    async def begin(self, **more: object) -> None:
        data = json.dumps({**BODY, **more}).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)

    async def head(self) -> dict[str, str]:
        async with asyncio.timeout(PATIENCE):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        assert lines[0] == "HTTP/1.1 200 OK", lines
        return dict(line.split(": ", 1) for line in lines[1:-1])

    async def finish(self) -> Answer:
        headers = await self.head()
        return Answer(headers, await self.body(headers))

    async def body(self, headers: dict[str, str]) -> bytes:
        async with asyncio.timeout(PATIENCE):
            if "content-length" in headers:
                return await self.reader.readexactly(int(headers["content-length"]))
            return (await self.reader.readuntil(b"\r\n0\r\n\r\n")).replace(b"\r\n", b"")

    def owner(self) -> int:
        """The pid of the worker at the other end. Ask only after an answer."""
        return self.server.owner(self.writer.get_extra_info("sockname")[1])


def _ports(end: list[str]) -> tuple[int, int]:
    return int(end[1].split(":")[1], 16), int(end[2].split(":")[1], 16)


def _open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(entry))
    return found


def config(url: str) -> str:
    provider = f"{{name: P1, base_url: {url}/v1, api_key: '{{{{ env.P1_KEY }}}}', small_model: small}}"
    return f"providers: [{provider}]\n"


@contextlib.asynccontextmanager
async def supervised(directory: Path, url: str, workers: int = 2) -> AsyncIterator[Server]:
    (directory / "portbroker.yaml").write_text(config(url))
    (directory / ".env").write_text("P1_KEY=sk-first\n")
    variables = {k: v for k, v in os.environ.items() if k not in ("PORTBROKER_CONFIG", "HOST", "PORT", "P1_KEY")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "portbroker", "--port", "0", "--workers", str(workers), "--log", "failures",
        cwd=directory, env=variables, stderr=subprocess.PIPE,
    )  # fmt: skip
    server = Server(process, directory)
    reading = asyncio.create_task(server.read())
    try:
        await server.said("serving http")
        if workers > 1:
            await server.said(SERVES, workers)
            await server.said("follows")
        yield server
    finally:
        if process.returncode is None:
            process.kill()  # the workers hear of it and end
        async with asyncio.timeout(PATIENCE):
            await reading
            await process.wait()


async def one_of(server: Server, pid: int, stack: contextlib.AsyncExitStack) -> Client:
    """A connection to this worker."""
    async with asyncio.timeout(PATIENCE):
        while True:
            client = await stack.enter_async_context(server.calling())
            await client.ask()
            if client.owner() == pid:
                return client


async def test_all_workers_answer_by_the_same_revision_and_report_the_start_once(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, supervised(tmp_path, provider.url, 3) as server:
        pids = server.workers()
        assert len(pids) == 3
        async with contextlib.AsyncExitStack() as stack:
            clients = [await one_of(server, pid, stack) for pid in pids]
            revisions = {(await client.ask()).headers["x-portbroker-revision"] for client in clients}
        assert len(revisions) == 1
        assert server.count("provider P1: http") == 1
        assert server.count(f"revision {revisions.pop()}, 3 workers") == 1


async def test_one_worker_has_no_supervisor(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, supervised(tmp_path, provider.url, 1) as server:
        assert server.workers() == set()
        async with server.calling() as client:
            assert json.loads((await client.ask()).body)["type"] == "message"


@dataclass
class Caller:
    """A client that calls without a pause, on a connection that it keeps, or on the next when that one breaks."""

    server: Server
    answered: int = 0
    lost: list[int] = field(default_factory=list)
    """Whose request was lost: the worker that the connection led to."""
    told_to_go: bool = False
    stopped: bool = False

    async def run(self) -> None:
        while not self.stopped and not self.told_to_go:
            try:
                client = await Client.connect(self.server)
            except ConnectionError:
                return  # nobody listens any more
            with contextlib.closing(client.writer):
                await self._call(client)

    async def _call(self, client: Client) -> None:
        owner = 0
        try:
            while not self.stopped and not self.told_to_go:
                answer = await client.ask()
                owner = owner or client.owner()
                self.answered += 1
                self.told_to_go = answer.headers.get("connection") == "close"
        except (ConnectionError, asyncio.IncompleteReadError):
            self.lost.append(owner)


@contextlib.asynccontextmanager
async def under_load(server: Server, count: int = 8) -> AsyncIterator[list[Caller]]:
    """So many clients that call without a pause; at the end of the context they have all ended by themselves."""
    callers = [Caller(server) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for caller in callers:
            tasks.create_task(caller.run())
        await answering(callers)
        try:
            yield callers
        finally:
            for caller in callers:
                caller.stopped = True


async def answering(callers: list[Caller]) -> None:
    """Returns when each of them has had ten more answers."""
    before = [caller.answered for caller in callers]
    async with asyncio.timeout(PATIENCE):
        while any(caller.answered < then + 10 for caller, then in zip(callers, before, strict=True)):
            await asyncio.sleep(0.005)


async def test_only_the_connections_of_a_killed_worker_break_and_it_is_replaced_by_what_it_was(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, supervised(tmp_path, provider.url) as server:
        first = server.workers()
        revision = provider_key = ""
        async with contextlib.AsyncExitStack() as stack:
            kept, killed = [await one_of(server, pid, stack) for pid in first]
            # What the file and its surroundings have become is no affair of a worker that replaces another.
            (tmp_path / "portbroker.yaml").write_text("nothing: that works")
            await server.said("the file cannot be served")
            (tmp_path / ".env").write_text("P1_KEY=sk-second\n")
            async with under_load(server) as callers:
                victim = killed.owner()
                os.kill(victim, signal.SIGKILL)
                await server.said(SERVES, 3)
                await answering(callers)
                revision = (await kept.ask()).headers["x-portbroker-revision"]
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await killed.ask()
            assert {owner for caller in callers for owner in caller.lost} <= {victim, 0}
            assert server.count(f"worker {victim} was ended by SIGKILL; another starts in 0.1 s") == 1
            (new,) = server.workers() - first
            provider.seen.clear()
            answer = await (await one_of(server, new, stack)).ask()
            provider_key = provider.last.headers["authorization"]
        assert answer.headers["x-portbroker-revision"] == revision
        assert provider_key == "Bearer sk-first"


def held(release: asyncio.Event) -> Callable[[web.Request], "asyncio.Future[web.StreamResponse]"]:
    """A provider that answers calls at once, and begins streams which it goes on with when released."""
    start, _, rest = chat_stream("Hel", "lo").partition(b"lo")

    async def behave(request: web.Request) -> web.StreamResponse:
        if not (await request.json()).get("stream"):
            return web.json_response(chat_answer())
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(start)
        await release.wait()
        await response.write(b"lo" + rest)
        return response

    return behave  # type: ignore[return-value]


@contextlib.asynccontextmanager
async def streaming(server: Server) -> AsyncIterator[list[tuple[Client, dict[str, str]]]]:
    """A stream of each worker, which has begun."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await one_of(server, pid, stack) for pid in server.workers()]
        for client in clients:
            await client.begin(stream=True)
        yield [(client, await client.head()) for client in clients]


async def test_a_supervisor_that_is_told_to_end_loses_no_request(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with serving(held(release)) as provider, supervised(tmp_path, provider.url) as server:
        async with streaming(server) as streams, under_load(server) as callers:
            server.kill(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                while not all(caller.told_to_go for caller in callers):
                    await asyncio.sleep(0.005)
            assert [caller.lost for caller in callers] == [[]] * len(callers)
            with pytest.raises(ConnectionRefusedError):
                await Client.connect(server)
            assert not server.ended
            release.set()
            for client, headers in streams:
                assert b'"type":"message_stop"' in await client.body(headers)
        assert await server.all_ended() == 0
        assert server.count("ended with status 0") == 2


async def test_told_twice_to_end_it_waits_for_nothing(tmp_path: Path) -> None:
    async with serving(held(asyncio.Event())) as provider, supervised(tmp_path, provider.url) as server:
        async with streaming(server) as streams:
            server.kill(signal.SIGINT)
            await server.said("stopping:")
            server.kill(signal.SIGINT)
            assert await server.all_ended() == 130
            for client, headers in streams:
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await client.body(headers)


async def test_workers_whose_supervisor_is_killed_end_their_calls_and_then_themselves(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with serving(held(release)) as provider, supervised(tmp_path, provider.url) as server:
        async with streaming(server) as streams:
            server.kill(signal.SIGKILL)
            await server.said("hearing no more of the supervisor", 2)
            assert not server.ended
            release.set()
            for client, headers in streams:
                assert b'"type":"message_stop"' in await client.body(headers)
        assert await server.all_ended() == -signal.SIGKILL


async def test_a_worker_that_is_told_to_end_loses_no_request_and_is_replaced(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, supervised(tmp_path, provider.url) as server:
        async with under_load(server) as callers:
            first = server.workers()
            os.kill(min(first), signal.SIGTERM)
            await server.said(SERVES, 3)
            await server.said("ended with status 0")
        assert [caller.lost for caller in callers] == [[]] * len(callers)
        assert max(first) in server.workers()
        server.kill(signal.SIGTERM)
        assert await server.all_ended() == 0


SUPERVISE = """
import logging, os, resource
from portbroker.listening import bind
from portbroker.workers import Prepare, Supervisor, watch, work

logging.basicConfig(level=logging.INFO)
prepare = Prepare(1, "unknown", "test.yaml", "/nonexistent", b"server: {port: x}", {}, {})
supervisor = Supervisor(prepare, bind("127.0.0.1", 0), WORK, watch, count=2)
LIMIT
supervisor.run()
"""


@pytest.mark.parametrize(
    ("work", "limit", "reason"),
    [
        ("work", "", "a worker cannot serve the configuration: test.yaml:1:16: server.port: must be a whole number"),
        ("lambda *_: os._exit(3)", "",
         "5 workers in a row ended before any could serve; the last one ended with status 3"),
        ("work", "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
         "5 workers in a row ended before any could serve; the last one could not be started (Too many open files)"),
    ],
)  # fmt: skip
def test_a_configuration_that_no_worker_can_serve_is_reported(work: str, limit: str, reason: str) -> None:
    script = SUPERVISE.replace("WORK", work).replace("LIMIT", limit)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert f"StartError: {reason}" in result.stderr


def test_auto_is_a_worker_for_each_core_that_may_be_used() -> None:
    code = "import os; os.sched_setaffinity(0, {0}); from portbroker.workers import cores; print(cores())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert result.stdout == "1\n"


@pytest.mark.parametrize("text", ["0", "257", "some", "-1"])
def test_a_number_of_workers_that_cannot_be_is_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from portbroker.cli import main

    with pytest.raises(SystemExit) as exit_:
        main(["serve", f"--workers={text}"])
    assert exit_.value.code == 2
    assert "must be a whole number from 1 to 256, or auto" in capsys.readouterr().err
