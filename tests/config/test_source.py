"""Files that cannot be read say why, and none is waited for."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from portbroker.config.load import load
from portbroker.config.source import MAX_SIZE, text_of
from portbroker.config.syntax import Fault
from portbroker.errors import ConfigError, Problem


@pytest.fixture(autouse=True)
def _never_waits() -> Iterator[None]:
    signal.alarm(20)
    yield
    signal.alarm(0)


def problem_of(path: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    (problem,) = caught.value.problems
    return problem


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert problem_of(tmp_path / "fifo").message == "is not a regular file"


def test_a_device_or_a_socket_is_refused(tmp_path: Path) -> None:
    assert problem_of(Path("/dev/zero")).message == "is not a regular file"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert problem_of(tmp_path / "socket").message.startswith("cannot be read")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert problem_of(tmp_path).message == "is a directory"


def test_a_file_that_is_not_there_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "portbroker.yml").write_text("providers: []")
    problem = problem_of(tmp_path / "portbroker.yaml")
    assert (problem.message, problem.hint) == ("is not there", "did you mean portbroker.yml?")
    assert "there is no directory" in problem_of(tmp_path / "no" / "portbroker.yaml").hint


def test_a_dangling_link_says_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    problem = problem_of(tmp_path / "a.yaml")
    assert problem.message == "is a link to a file that is not there"
    assert "gone.yaml" in problem.hint


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert problem_of(tmp_path / "a.yaml").message.startswith("cannot be read")


def test_a_name_with_a_null_is_refused() -> None:
    assert problem_of(Path("a\0b")).message.startswith("cannot be read")


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("providers: []")
    path.chmod(0)
    if os.geteuid() == 0:  # root reads everything, so give the file up for a moment
        tmp_path.chmod(0o755)
        os.seteuid(65534)
        try:
            assert problem_of(path).message == "cannot be read by this user"
        finally:
            os.seteuid(0)
    else:
        assert problem_of(path).message == "cannot be read by this user"


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n" * (10 * 1024 * 1024 // 5))
    assert problem_of(path).message == "the file is too large: 10.0 MiB, where 4 MiB are allowed"


def test_an_endless_sparse_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "too large" in problem_of(path).message


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        ("a: 1".encode("utf-16"), 0, 0, "UTF-16"),
        ("a: 1".encode("utf-16-le"), 0, 0, "UTF-16"),
        ("a: 1".encode("utf-16-be"), 0, 0, "UTF-16"),
        ("a: 1".encode("utf-32"), 0, 0, "UTF-16 or UTF-32"),
        (b"a: 1\nb: caf\xe9\n", 2, 7, "0xE9 is not UTF-8"),
        ("ä: 1\nbö: ".encode() + b"\xff", 2, 5, "0xFF is not UTF-8"),
        (b"a: 1\nb: \x00\n", 2, 4, "U+0000"),
        (b"\x1b[1m: 1\n", 1, 1, "U+001B"),
        (b"a: \xc2\x85\xc2\x9b\n", 1, 5, "U+009B"),
        (b"a: \xed\xa0\x80\n", 1, 4, "0xED is not UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused_at_their_place(data: bytes, line: int, column: int, message: str) -> None:
    with pytest.raises(Fault) as caught:
        text_of(data)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in caught.value.message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for text in ("", "\n\n", "# words\n", "---\n", "\ufeff"):
        path.write_text(text)
        assert problem_of(path).message == "the file is empty"


def test_the_limit_is_that_of_the_page() -> None:
    assert MAX_SIZE == 4 * 1024 * 1024
