"""The running server says where it is to its own OS user, and to nobody else."""

import os
import stat
from pathlib import Path

import pytest

from portbroker.server_file import RunningServer, announced, found, new_token
from portbroker.state_dir import StateDir, StateError, write_private


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / ".portbroker")
    made.create()
    return made


def test_the_file_is_there_while_the_server_is_and_for_its_owner_alone(state: StateDir) -> None:
    with announced(state, "http://127.0.0.1:8000", "t" * 43):
        assert found(state) == RunningServer("http://127.0.0.1:8000", os.getpid(), "t" * 43)
        assert stat.S_IMODE(state.server.stat().st_mode) == 0o600
    assert found(state) is None


def test_a_server_takes_back_only_its_own_file(state: StateDir) -> None:
    with announced(state, "http://127.0.0.1:1", "first"):
        with announced(state, "http://127.0.0.1:2", "second"):
            pass
        assert found(state) is None
        write_private(state.server, b'{"url": "http://127.0.0.1:3", "pid": 1, "token": "third"}')
    assert found(state) == RunningServer("http://127.0.0.1:3", 1, "third")


def test_a_file_that_others_can_read_is_not_believed(state: StateDir) -> None:
    with announced(state, "http://127.0.0.1:8000", "t"):
        state.server.chmod(0o644)
        with pytest.raises(StateError, match="chmod 600"):
            found(state)
        state.server.chmod(0o600)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"url": 1, "pid": "x", "token": 1}', b"\xff"])
def test_a_damaged_file_is_said_to_be_one(state: StateDir, text: bytes) -> None:
    write_private(state.server, text)
    with pytest.raises(StateError, match="cannot be understood"):
        found(state)


def test_a_process_that_is_gone_is_known_to_be(state: StateDir) -> None:
    assert RunningServer("", os.getpid(), "").alive
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    assert not RunningServer("", pid, "").alive


def test_each_start_has_another_token_and_no_text_shows_one() -> None:
    assert new_token() != new_token()
    assert len(new_token()) >= 43
    assert "secret" not in repr(RunningServer("http://x", 1, "secret"))


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("http://[::]:80", "http://[::1]:80"),
        ("http://[::1]:8", "http://[::1]:8"),
    ],
)
def test_a_server_on_all_addresses_is_reached_on_one(state: StateDir, url: str, reached: str) -> None:
    with announced(state, url, "t"):
        said = found(state)
        assert said is not None
        assert said.url == reached
