"""Responses that several workers share, over sockets in a directory of theirs."""

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portbroker.kept_responses import KeptResponse, ResponseMemory
from portbroker.policy import Keep
from portbroker.shared_responses import SharedResponses, shared

KEEP = Keep()
ONE = KeptResponse("resp_1", "key_1", '{"id": "é"}'.encode(), b'{"input": "a"}', "P")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short one: the path of a socket cannot be long."""
    with tempfile.TemporaryDirectory(prefix="pb", dir="/tmp") as path:
        yield Path(path) / "responses"


@asynccontextmanager
async def worker(directory: Path, number: int) -> AsyncIterator[SharedResponses]:
    """One worker of several; they are one process here, so each has a name of its own."""
    sharing = SharedResponses(ResponseMemory(), directory)
    sharing.path = directory / f"{number}.sock"
    directory.mkdir(exist_ok=True)
    server = await asyncio.start_unix_server(sharing.answer, str(sharing.path))
    try:
        yield sharing
    finally:
        server.close()
        await server.wait_closed()


async def test_a_worker_finds_what_another_one_keeps(directory: Path) -> None:
    async with worker(directory, 1) as first, worker(directory, 2) as second, worker(directory, 3) as third:
        first.put(ONE, KEEP)
        for one in (first, second, third):
            assert await one.get("key_1", "resp_1") == ONE
            assert await one.get("key_2", "resp_1") is None
            assert await one.get("key_1", "resp_2") is None


async def test_what_one_deletes_is_gone_for_all(directory: Path) -> None:
    async with worker(directory, 1) as first, worker(directory, 2) as second:
        first.put(ONE, KEEP)
        await second.delete("key_2", "resp_1")
        assert await second.get("key_1", "resp_1") == ONE
        await second.delete("key_1", "resp_1")
        assert await first.get("key_1", "resp_1") is None


async def test_a_worker_that_was_killed_is_forgotten(directory: Path) -> None:
    async with worker(directory, 1) as first:
        left = directory / "2.sock"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(left))
        assert await first.get("key_1", "resp_1") is None
        assert not left.exists()


async def test_a_worker_that_says_nothing_sensible_knows_nothing(directory: Path) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"{not json")
        writer.close()

    async with worker(directory, 1) as first:
        server = await asyncio.start_unix_server(garbage, str(directory / "9.sock"))
        async with server:
            assert await first.get("key_1", "resp_1") is None


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b'{"do": "get"}\n', b"x" * 200_000])
async def test_a_question_that_makes_no_sense_ends_without_harm(directory: Path, line: bytes) -> None:
    async with worker(directory, 1) as first, worker(directory, 2) as second:
        _, writer = await asyncio.open_unix_connection(str(first.path))
        writer.write(line)
        writer.close()
        first.put(ONE, KEEP)
        assert await second.get("key_1", "resp_1") == ONE


async def test_a_name_without_end_is_no_question(directory: Path) -> None:
    async with worker(directory, 1) as first, worker(directory, 2):
        assert await first.get("key_1", "x" * 100_000) is None


async def test_the_directory_and_what_is_in_it_are_for_this_user_alone_and_only_while_it_serves(
    directory: Path,
) -> None:
    async with shared(ResponseMemory(), directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert [path.name for path in directory.iterdir()] == [f"{os.getpid()}.sock"]
    assert list(directory.iterdir()) == []


async def test_where_no_socket_can_be_a_worker_keeps_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = ResponseMemory()
    async with shared(own, tmp_path / ("long" * 30)) as store:
        assert store is own
    assert "too long a path" in caplog.text
