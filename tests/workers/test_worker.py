"""A worker, told what to do through its socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from portbroker.config.load import load_text
from portbroker.listening import bind, url_of
from portbroker.workers.messages import Commit, Committed, Inbox, Message, Prepare, Ready, Refused, Stop, encode
from portbroker.workers.worker import serve


def prepare(generation: int, text: str) -> Prepare:
    loaded = load_text(text.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={})
    return Prepare.of(loaded, generation, Path("/nonexistent"))


ONE = prepare(1, "server: {max_body: 1024}")
TWO = prepare(2, "server: {max_body: 2048}")


@dataclass
class Told:
    """A worker in this process, and the supervisor's end of its socket."""

    task: "asyncio.Task[None]"
    url: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    inbox: Inbox

    async def tell(self, *messages: Message) -> Message:
        """What it answers to the last of them."""
        self.writer.write(b"".join(map(encode, messages)))
        while True:
            for message in self.inbox.feed(await asyncio.wait_for(self.reader.read(65536), 10)):
                return message

    async def revision(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(self.url + "/health") as answer:
            return answer.headers["x-portbroker-revision"]


@contextlib.asynccontextmanager
async def told() -> AsyncIterator[Told]:
    ours, theirs = socket.socketpair()
    sockets = bind("127.0.0.1", 0)
    url = url_of(sockets)
    task = asyncio.create_task(serve(theirs, sockets))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    yield Told(task, url, reader, writer, Inbox())
    writer.close()
    await asyncio.wait_for(task, 10)
    for sock in sockets:
        sock.close()


async def test_nothing_is_answered_before_the_commit() -> None:
    async with told() as worker:
        assert await worker.tell(ONE) == Ready(1)
        asking = asyncio.create_task(worker.revision())
        # The connection is made and waits: two rounds of talk with the worker, and it has accepted nothing.
        assert await worker.tell(ONE) == Ready(1)
        assert await worker.tell(ONE) == Ready(1)
        assert not asking.done()
        assert await worker.tell(Commit(1, 5.0)) == Committed(1)
        assert await asking == ONE.revision


async def test_a_later_generation_is_served_from_its_commit_on() -> None:
    async with told() as worker:
        assert await worker.tell(ONE) == Ready(1)
        assert await worker.tell(Commit(1, 5.0)) == Committed(1)
        assert await worker.tell(TWO) == Ready(2)
        assert await worker.revision() == ONE.revision
        assert await worker.tell(Commit(2, 5.0)) == Committed(2)
        assert await worker.revision() == TWO.revision


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (replace(TWO, text=b"server: {max_body: 1}"), "test.yaml:1:20: server.max_body: must be at least 1024, not 1"),
        (replace(TWO, text=ONE.text), f"these are bytes of {ONE.revision}, not of {TWO.revision}"),
    ],
)
async def test_a_generation_that_cannot_be_served_is_refused_and_the_last_one_goes_on(
    wanted: Prepare, reason: str
) -> None:
    async with told() as worker:
        await worker.tell(ONE)
        await worker.tell(Commit(1, 5.0))
        assert await worker.tell(wanted) == Refused(2, reason)
        assert await worker.tell(Commit(2, 5.0), ONE) == Ready(1)  # what was refused cannot be committed
        assert await worker.revision() == ONE.revision


async def test_a_worker_that_is_told_to_stop_ends() -> None:
    async with told() as worker:
        await worker.tell(ONE)
        await worker.tell(Commit(1, 5.0))
        worker.writer.write(encode(Stop()))
        await asyncio.wait_for(worker.task, 10)
        with pytest.raises(aiohttp.ClientConnectorError):
            await worker.revision()


async def test_a_worker_that_never_hears_of_anything_ends_with_its_supervisor() -> None:
    async with told() as worker:
        worker.writer.write_eof()
        await asyncio.wait_for(worker.task, 10)
