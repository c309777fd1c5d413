"""`portbroker history`, `rollback` and `diff` by revision: on what a real server has served."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portbroker.cli import main

FILE = "providers:\n  - {name: P, base_url: 'http://127.0.0.1:9/v1', models: [one]}\n"


class Served:
    """A server of a file, and what it says."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "portbroker.yaml"
        self.file.write_text(FILE)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portbroker", "--port", "0"], cwd=directory, stderr=subprocess.PIPE, text=True
        )
        self.until("serving http")

    def until(self, words: str) -> str:
        assert self.process.stderr is not None
        log = ""
        for line in self.process.stderr:
            log += line
            if words in line:
                return line
        raise AssertionError(f"{words!r} was not said:\n{log}")

    def save(self, text: str) -> str:
        """The revision that it has."""
        self.file.write_text(text)
        found = re.search(r"revision (\w{12}), was", self.until(": revision "))
        assert found
        return found[1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_what_was_served_is_listed_compared_and_written_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    served = Served(tmp_path)
    try:
        second = served.save(FILE.replace("one", "two"))
        third = served.save(FILE.replace("one", "three"))
        assert main(["history", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [(e["revision"], e["cause"], e["in_the_file"]) for e in told[:2]] == [
            (third, "save", True), (second, "save", False),
        ]  # fmt: skip
        assert told[2]["cause"] == "start"
        first = told[2]["revision"]

        assert main(["history"]) == 0
        listed = capsys.readouterr().out.splitlines()
        assert re.fullmatch(rf"\*  {third}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  save   three: at P; two: .+", listed[0])
        assert main(["history", first]) == 0
        assert capsys.readouterr().out == FILE

        assert main(["diff", first, second]) == 1
        assert "two: at P" in capsys.readouterr().out
        assert main(["diff", third, "portbroker.yaml"]) == 0
        assert main(["diff"]) == 0
        capsys.readouterr()

        assert main(["rollback", "--dry-run"]) == 0
        assert f"nothing was written; portbroker.yaml would be revision {second}" in capsys.readouterr().err
        assert main(["rollback"]) == 0
        assert f"back  portbroker.yaml  revision {second}, served since " in capsys.readouterr().out
        assert f"revision {second}, was {third}" in served.until(": revision ")
        assert served.file.read_text() == FILE.replace("one", "two")

        assert main(["rollback", first[:6]]) == 0
        served.until(f"revision {first}, was {second}")
        assert main(["rollback", first]) == 0
        assert f"is revision {first} already" in capsys.readouterr().err

        served.file.write_text("providers: [")
        served.until("the file cannot be served")
        assert main(["rollback"]) == 0
        captured = capsys.readouterr()
        assert "cannot be served as it is now" in captured.err
        assert served.file.read_text() == FILE
    finally:
        served.stop()


def test_without_a_history_there_is_nothing_to_go_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("portbroker.yaml").write_text(FILE)
    assert main(["history"]) == 0
    assert "nothing of portbroker.yaml was served yet" in capsys.readouterr().err
    for command in (["rollback"], ["rollback", "abcdef"], ["history", "abcdef"], ["diff"], ["diff", "abcdef"]):
        assert main(command) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from portbroker.config.load import load
    from portbroker.history import history_of

    monkeypatch.chdir(tmp_path)
    file = Path("portbroker.yaml")
    file.write_text(FILE)
    history_of(file, loaded := load(file)).keep(loaded, "start")
    file.unlink()
    file.mkdir()  # nothing can be renamed over a directory
    assert main(["rollback", loaded.revision]) == 1
    assert "error: " in capsys.readouterr().err
