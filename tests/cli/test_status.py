"""`portbroker status` and `reload`: what a running server says, by the token that it has written for its own user."""

import json
from pathlib import Path

import pytest

from portbroker.cli import main
from tests.cli.test_history import FILE, Served


def test_a_running_server_is_asked_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    served = Served(tmp_path)
    try:
        assert main(["status"]) == 0
        printed = capsys.readouterr().out
        assert "the file has  the same\n" in printed
        assert f"worker        {served.process.pid}  revision " in printed

        served.file.write_text(FILE.replace("one", "two"))
        assert main(["reload", "--wait", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(["reload", "--wait"]) == 0
        assert capsys.readouterr().out == f"served  revision {told['revision']}, already\n"

        served.file.write_text(FILE + "colour: red\n")
        for command in (["reload", "--dry-run"], ["reload", "--wait"]):
            assert main(command) == 1
            shown = capsys.readouterr().err
            assert "error: portbroker.yaml:3:1: colour: " in shown
            assert " 3 | colour: red\n   | ^^^^^^^\n" in shown
        assert main(["reload", "--wait", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["problems"][0]["line"] == 3
        assert main(["status"]) == 1
        captured = capsys.readouterr()
        assert ", which is not served\n" in captured.out
        assert "error: portbroker.yaml:3:1: colour: " in captured.err
        assert main(["status", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["in_sync"] is False

        served.file.write_text(FILE.replace("one", "three"))
        assert main(["reload"]) == 0
        assert f"told the server (process {served.process.pid})" in capsys.readouterr().err
        served.until("three: at P")
    finally:
        served.stop()


@pytest.mark.parametrize("command", [["status"], ["reload"], ["reload", "--wait"], ["reload", "--dry-run"]])
def test_without_a_server_that_is_said(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portbroker.yaml").write_text(FILE)
    assert main(command) == 1
    assert "no server of portbroker.yaml is running" in capsys.readouterr().err


def test_a_server_elsewhere_can_only_be_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", "--url", "http://127.0.0.1:9"]) == 2
    assert "add --wait" in capsys.readouterr().err
