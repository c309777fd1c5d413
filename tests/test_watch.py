"""Every way in which a file changes is noticed within a second, and only what changes."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from portbroker.watch import changes, places


class Watched:
    """Counts the changes of some files."""

    def __init__(self) -> None:
        self.count = 0
        self.noticed = asyncio.Event()

    async def follow(self, files: Callable[[], set[Path]]) -> None:
        async for _ in changes(files):
            self.count += 1
            self.noticed.set()

    async def after(self, act: Callable[[], object]) -> float:
        """Do it; seconds until it was noticed. Fails when it takes longer than one and a bit."""
        self.noticed.clear()
        began = time.monotonic()
        act()
        await asyncio.wait_for(self.noticed.wait(), 2.5)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def watching(*files: Path) -> AsyncIterator[Watched]:
    watched = Watched()
    task = asyncio.create_task(watched.follow(lambda: set(files)))
    await asyncio.sleep(0.15)  # until the kernel watches: nothing tells when that is
    try:
        yield watched
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def replace(path: Path, text: str) -> None:
    """As editors and git do it: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "portbroker.yaml"
    path.write_text("a: 1\n")
    return path


async def test_a_write_in_place_is_noticed_each_time(file: Path) -> None:
    async with watching(file) as watched:
        for text in ("a: 2\n", "a: 3\n", "a: 44\n"):
            assert await watched.after(partial(file.write_text, text)) < 1


async def test_a_rename_over_the_file_is_noticed_each_time(file: Path) -> None:
    async with watching(file) as watched:
        for text in ("a: 2\n", "a: 3\n", "a: 4\n"):
            assert await watched.after(partial(replace, file, text)) < 1


async def test_a_file_that_goes_and_comes_back_is_noticed_both_times(file: Path) -> None:
    async with watching(file) as watched:
        assert await watched.after(file.unlink) < 1
        assert await watched.after(lambda: file.write_text("a: 2\n")) < 1


async def test_a_directory_that_goes_and_comes_back_is_noticed(tmp_path: Path) -> None:
    directory = tmp_path / "conf"
    directory.mkdir()
    file = directory / "portbroker.yaml"
    file.write_text("a: 1\n")

    def put_back() -> None:
        directory.mkdir()
        file.write_text("a: 2\n")

    async with watching(file) as watched:
        await watched.after(lambda: shutil.rmtree(directory))
        assert await watched.after(put_back) < 1.5  # found by looking: the watch went with the directory


async def test_a_swap_of_a_config_map_is_noticed_each_time(tmp_path: Path) -> None:
    """Kubernetes: the file is a link to ..data/file, and ..data a link that is renamed over."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "portbroker.yaml").write_text("a: 1\n")
    (tmp_path / "..data").symlink_to("v1")
    file = tmp_path / "portbroker.yaml"
    file.symlink_to("..data/portbroker.yaml")

    def swap(number: int) -> None:
        version = tmp_path / f"v{number}"
        version.mkdir()
        (version / "portbroker.yaml").write_text(f"a: {number}\n")
        (tmp_path / "..tmp").symlink_to(version.name)
        os.replace(tmp_path / "..tmp", tmp_path / "..data")

    async with watching(file) as watched:
        for number in (2, 3, 4):
            assert await watched.after(partial(swap, number)) < 1


async def test_a_link_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "real.yaml").write_text(f"{name}: 1\n")
    file = tmp_path / "portbroker.yaml"
    file.symlink_to("one/real.yaml")

    def relink() -> None:
        (tmp_path / "link").symlink_to("two/real.yaml")
        os.replace(tmp_path / "link", file)

    async with watching(file) as watched:
        assert await watched.after(relink) < 1
        assert await watched.after(lambda: (tmp_path / "two" / "real.yaml").write_text("two: 22\n")) < 1


async def test_a_file_that_is_not_there_yet_is_noticed_when_it_comes(tmp_path: Path, file: Path) -> None:
    env = tmp_path / ".env"
    async with watching(file, env) as watched:
        assert await watched.after(lambda: env.write_text("A=1\n")) < 1


async def test_many_saves_in_a_burst_are_few_changes(file: Path) -> None:
    async with watching(file) as watched:
        for number in range(40):
            file.write_text(f"a: {number}\n")
            await asyncio.sleep(0.005)
        await asyncio.wait_for(watched.noticed.wait(), 2.5)
        assert watched.count <= 2


async def test_a_slow_write_is_one_change_at_its_end(file: Path) -> None:
    async with watching(file) as watched:
        with file.open("w") as out:
            for number in range(8):
                out.write(f"key{number}: 1\n")
                out.flush()
                await asyncio.sleep(0.03)
        await asyncio.wait_for(watched.noticed.wait(), 2.5)
        assert watched.count == 1


async def test_a_neighbour_of_the_file_is_of_no_interest(tmp_path: Path, file: Path) -> None:
    async with watching(file) as watched:
        (tmp_path / "other.txt").write_text("x")
        await watched.after(lambda: file.write_text("a: 2\n"))
        assert watched.count == 1


def test_every_directory_that_a_link_leads_through_is_a_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "real").write_text("x")
    (tmp_path / "a" / "hop").symlink_to("../b/real")
    (tmp_path / "link").symlink_to("a/hop")
    assert {tmp_path, tmp_path / "a", tmp_path / "b", tmp_path / "b" / "real"} <= places(tmp_path / "link")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    assert places(tmp_path / "x") >= {tmp_path}


WITHOUT_EVENTS = """
import asyncio, logging, os, resource, sys
from pathlib import Path
import watchfiles.main, anyio
from portbroker.watch import changes

async def main():
    file = Path(sys.argv[1])
    logging.basicConfig(format="%(message)s")
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    async for _ in changes(lambda: {file}):
        print("noticed", flush=True)
        return

asyncio.run(main())
"""


def test_where_the_kernel_watches_nothing_more_a_look_every_second_finds_it_and_that_is_said(file: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_EVENTS, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        told = process.stderr.readline()
        assert told.startswith("the kernel watches no more files (")
        assert told.endswith("; looking every second instead\n")
        file.write_text("other")
        assert process.stdout.readline() == "noticed\n"


def test_a_file_that_is_mounted_alone_is_watched_itself(file: Path) -> None:
    assert file in places(file)
