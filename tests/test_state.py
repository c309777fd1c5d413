"""The state of a process: how it begins, what it makes of its secrets, and when it cannot begin."""

import asyncio
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from portbroker.app import running, state_of
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.counters import Counters
from portbroker.keys import Pepper
from portbroker.state import opened
from portbroker.store.called import CalledStore
from portbroker.store.records import UsageFilter
from portbroker.store.sqlite import SqliteDatabase
from tests.plugs import new_key, until
from tests.providers import answers, chat_answer, serving
from tests.stateful import ASK, config, keyed

SECRET = "0123456789abcdef0123456789abcdef"
ADMIN = "pb-" + "A" * 43


async def test_the_secret_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    async with keyed("{}\n", tmp_path) as gate:
        first = gate.state.secret
    file = tmp_path / ".portbroker" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first) >= 32
    async with keyed("{}\n", tmp_path) as gate:
        assert gate.state.secret == first


async def test_keys_outlive_a_restart_with_the_same_secret_and_another_secret_is_refused(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        text = config(provider.url)
        async with keyed(text, tmp_path, SECRET_KEY=SECRET) as gate:
            _, secret = await gate.new_key()
        async with keyed(text, tmp_path, SECRET_KEY=SECRET) as gate:
            assert (await gate.call(secret)).status == 200
        loaded = load_text(text.encode(), file="portbroker.yaml", directory=tmp_path, environ={"SECRET_KEY": "x" * 32})
        state, failed = state_of(loaded, tmp_path, Counters()), asyncio.Event()
        async with opened(state, failed.set):
            await asyncio.wait_for(failed.wait(), 10)
        assert "another SECRET_KEY" in state.failure


async def test_the_first_admin_key_is_made_once(tmp_path: Path) -> None:
    async with keyed("{}\n", tmp_path) as gate:
        shown = (tmp_path / ".portbroker" / "admin_key").read_text().strip()
        assert (await gate.state.keyring.caller(shown)).admin
        assert [key.name for key in await gate.state.store.keys()] == ["admin"]
    (tmp_path / ".portbroker" / "admin_key").unlink()
    async with keyed("{}\n", tmp_path) as gate:
        assert len(await gate.state.store.keys()) == 1
    assert not (tmp_path / ".portbroker" / "admin_key").exists()


async def test_an_admin_key_of_the_environment_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    other = "pb-" + "B" * 43
    async with keyed("{}\n", tmp_path, PORTBROKER_ADMIN_KEY=ADMIN) as gate:
        assert (await gate.state.keyring.caller(ADMIN)).admin
        assert not (tmp_path / ".portbroker" / "admin_key").exists()
    async with keyed("{}\n", tmp_path, PORTBROKER_ADMIN_KEY=other) as gate:
        assert (await gate.state.keyring.caller(other)).admin
        with pytest.raises(Exception, match="not known"):
            await gate.state.keyring.caller(ADMIN)
        assert len(await gate.state.store.keys()) == 1
    assert ADMIN.encode() not in (tmp_path / "portbroker.db").read_bytes()


async def test_a_call_without_a_key_does_not_wait_for_the_database(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        text = config(provider.url)
        loaded = load_text(text.encode(), file="portbroker.yaml", directory=tmp_path, environ={})
        state = state_of(loaded, tmp_path, Counters())
        plug = asyncio.Event()

        async def open_late() -> None:
            await plug.wait()
            await real()

        real, state.store.open = state.store.open, open_late  # type: ignore[method-assign]
        async with opened(state), running(
            compile_snapshot(loaded), host="127.0.0.1", port=0, max_body=100_000, state=state
        ) as listening:  # fmt: skip
            await _ask(listening.url)
            assert state.recorder.spool.counts.spooled == 1
            plug.set()
            await until(lambda: state.keyring._stored is not None)
        await _is_recorded(tmp_path)


async def _ask(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/messages", json=ASK) as response:
        assert response.status == 200


async def _is_recorded(directory: Path) -> None:
    store = CalledStore(SqliteDatabase(directory / "portbroker.db"))
    await store.open()
    assert len((await store.events(UsageFilter())).events) == 1
    await store.close()


def started(directory: Path, *arguments: str, stderr: int) -> "subprocess.Popen[bytes]":
    (directory / "portbroker.yaml").write_text("server: {port: 0}\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "PORTBROKER_ADMIN_KEY")}
    return subprocess.Popen([sys.executable, "-m", "portbroker", *arguments], cwd=directory, env=kept, stderr=stderr)


def test_at_a_terminal_the_first_admin_key_is_shown_and_written_nowhere(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    server = started(tmp_path, stderr=theirs)
    os.close(theirs)
    said = b""
    while b"pb-" not in said or b"keys create" not in said:
        said += os.read(ours, 4096)
    server.terminate()
    assert server.wait(30) == 0
    os.close(ours)
    secret = said[said.index(b"pb-") :].split()[0].decode()
    assert len(secret) == 46
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_database_that_can_never_be_used_ends_the_start_with_the_reason(tmp_path: Path, workers: str) -> None:
    (tmp_path / ".portbroker").mkdir(mode=0o700)
    asyncio.run(_made_with_another_secret(tmp_path))
    server = started(tmp_path, "--workers", workers, stderr=subprocess.PIPE)
    _, said = server.communicate(timeout=60)
    assert server.returncode == 1, said
    assert b"another SECRET_KEY" in said
    assert b"Traceback" not in said


async def _made_with_another_secret(directory: Path) -> None:
    store = CalledStore(SqliteDatabase(directory / "portbroker.db"))
    await store.open()
    await store.check_pepper(Pepper(b"another secret of thirty-two bytes").fingerprint)
    await new_key(store)
    await store.close()
