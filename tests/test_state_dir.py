"""The directory in which one gateway keeps its own files."""

import stat
import threading
from pathlib import Path

import pytest

from portbroker.state_dir import StateDir, StateError, made_once, read_private, state_dir, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_counted_from_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "portbroker.yaml"
    assert state_dir(file, ".portbroker").path == tmp_path / "etc" / ".portbroker"
    assert state_dir(file, "/var/lib/portbroker").path == Path("/var/lib/portbroker")


def test_it_is_for_this_user_alone_and_not_for_git(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "a" / ".portbroker")
    state.create()
    state.create()
    assert mode(state.path) == 0o700
    assert (state.path / ".gitignore").read_text() == "*\n"
    assert state.spool.is_dir()
    assert state.history.is_dir()


def test_one_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    state = StateDir(tmp_path / ".portbroker")
    state.path.mkdir(mode=0o755)
    state.create()
    assert mode(state.path) == 0o700


def test_one_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"name another place in `server\.state`"):
        StateDir(tmp_path / "file" / ".portbroker").create()


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    write_private(path, b"one")
    write_private(path, b"two")
    assert read_private(path) == b"two"
    assert mode(path) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["server.json"]


def test_a_file_made_once_is_the_same_for_all_who_make_it_at_once(tmp_path: Path) -> None:
    path, found, start = tmp_path / "secret_key", [], threading.Barrier(16)

    def make(number: int) -> None:
        start.wait()
        found.append(made_once(path, lambda: b"%d" % number))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert set(found) == {path.read_bytes()}
    assert mode(path) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["secret_key"]


def test_a_private_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_bytes(b"x")
    path.chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        made_once(path, lambda: b"y")
