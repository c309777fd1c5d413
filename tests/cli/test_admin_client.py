"""Commands find the running server of their user, or the one that is named; and what is refused is said plainly."""

import argparse
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from portbroker.cli.admin_client import AdminClient, Refused, client, path_of, running_client
from portbroker.cli.sessions import forget_session, keep_session, session_for, sessions_file
from portbroker.cli.terminal import CommandError
from portbroker.server_file import announced
from portbroker.state_dir import StateDir


class _Server(BaseHTTPRequestHandler):
    answer = (200, b'{"fine": true}')
    seen: tuple[str, str, str | None, bytes] = ("", "", None, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        type(self).seen = (self.command, self.path, self.headers.get("authorization"), body)
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for name in ("PORTBROKER_URL", "PORTBROKER_ADMIN_KEY", "PORTBROKER_CONFIG", "PORTBROKER_STATE"):
        monkeypatch.delenv(name, raising=False)
    _Server.answer = (200, b'{"fine": true}')


def arguments(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"url": None, "key": None, "config": None, **given})


def test_the_running_server_is_found_by_its_file(url: str, tmp_path: Path) -> None:
    assert running_client(arguments()) is None
    with pytest.raises(CommandError, match="no server of"):
        client(arguments())
    state = StateDir(tmp_path / ".portbroker")
    state.create()
    with announced(state, url, "the-token"):
        assert client(arguments()).ask("GET", "/admin/x") == {"fine": True}
        assert _Server.seen[:3] == ("GET", "/admin/x", "Bearer the-token")


@pytest.mark.parametrize(
    "text", ["server: {state: kept/here}\n", "server: {state: kept/here, port: wrong}\nnonsense: 1\n"]
)
def test_the_state_directory_is_as_the_file_says_even_where_the_file_is_wrong(
    url: str, tmp_path: Path, text: str
) -> None:
    (tmp_path / "portbroker.yaml").write_text(text)
    state = StateDir(tmp_path / "kept" / "here")
    state.create()
    with announced(state, url, "the-token"):
        assert client(arguments()).url == url


def test_a_server_that_is_gone_is_not_running(url: str, tmp_path: Path) -> None:
    state = StateDir(tmp_path / ".portbroker")
    state.create()
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    state.server.write_text(f'{{"url": "{url}", "pid": {pid}, "token": "t"}}')
    state.server.chmod(0o600)
    assert running_client(arguments()) is None


def test_a_named_server_gets_the_key_that_is_meant_for_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir(tmp_path / ".portbroker")
    state.create()
    with announced(state, "http://127.0.0.1:9", "the-token"):
        client(arguments(url=url)).ask("GET", "/admin/x")
        assert _Server.seen[2] is None, "the token of one server is not for another"
        monkeypatch.setenv("PORTBROKER_ADMIN_KEY", "pb-env")
        client(arguments(url=url)).ask("POST", "/admin/x", {"a": 1})
        assert _Server.seen == ("POST", "/admin/x", "Bearer pb-env", b'{"a": 1}')
        client(arguments(url=url, key="pb-arg")).ask("GET", "/admin/x")
        assert _Server.seen[2] == "Bearer pb-arg"


def test_a_sign_in_is_kept_for_its_server_until_it_is_over(url: str) -> None:
    keep_session(url + "/", "token-1", 60)
    assert sessions_file().stat().st_mode & 0o777 == 0o600
    client(arguments(url=url)).ask("GET", "/admin/x")
    assert _Server.seen[2] == "Bearer token-1"
    assert session_for("http://elsewhere") == ""
    keep_session(url, "token-2", -1)
    assert session_for(url) == ""
    keep_session(url, "token-3", 60)
    assert (forget_session(url), session_for(url), forget_session(url)) == (True, "", False)


def test_what_the_server_refuses_is_said_with_its_reason(url: str) -> None:
    _Server.answer = (409, b'{"error": {"kind": "conflict", "message": "another key has this name"}}')
    with pytest.raises(Refused, match="another key has this name") as refused:
        AdminClient(url).ask("GET", "/admin/x")
    assert (refused.value.code, refused.value.error["kind"]) == (409, "conflict")
    _Server.answer = (401, b'{"error": {"message": "who?"}}')
    with pytest.raises(Refused) as refused:
        AdminClient(url).ask("GET", "/admin/x")
    assert "PORTBROKER_ADMIN_KEY" in refused.value.hint


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, b"oops"), (200, b"")])
def test_what_is_no_portbroker_is_said_to_be_none(url: str, answer: tuple[int, bytes]) -> None:
    _Server.answer = answer
    with pytest.raises(CommandError, match="no PortBroker"):
        AdminClient(url).ask("GET", "/admin/x")


@pytest.mark.parametrize("wrong", ["", "x", "ftp://x", "http://", "127.0.0.1:8000"])
def test_what_is_no_url_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(CommandError) as error:
        AdminClient(wrong)
    assert error.value.status == 2


def test_a_server_that_does_not_answer_is_said_not_to() -> None:
    with pytest.raises(CommandError, match="does not answer: Connection refused"):
        AdminClient("http://127.0.0.1:1").ask("GET", "/admin/x")


def test_steps_of_a_path_hold_anything() -> None:
    assert path_of("providers", "Local Ollama/x", "test") == "/admin/providers/Local%20Ollama%2Fx/test"
