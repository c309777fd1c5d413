"""`portbroker connect` where calls need an API key: one is made, used again, and gone with the settings."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portbroker.cli import main
from portbroker.connect.asking import ask
from portbroker.connect.clients import Machine
from portbroker.connect.kept_keys import kept_keys

FILE = """
auth: {calls: key}
providers:
  - {name: Local, base_url: "http://127.0.0.1:9/v1", api_key: k, models: [fast, slow]}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a server of this user runs, which asks for keys."""
    path = tmp_path_factory.mktemp("keyed")
    (path / "portbroker.yaml").write_text(FILE)
    serve = [sys.executable, "-m", "portbroker", "serve", "--port", "0"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(path), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(serve, cwd=path, env=variables, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        said = ""
        while "keys and usage are in" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield path
        process.kill()


@pytest.fixture
def home(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("XDG_", "PORTBROKER_", "CODEX_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(directory)
    return tmp_path


def url_and_key(home: Path) -> tuple[str, str]:
    """What Codex has been told."""
    text = (home / ".codex" / "config.toml").read_text()
    found = re.search(r'base_url = "(.*)/v1"', text), re.search(r'experimental_bearer_token = "(.*)"', text)
    assert found[0]
    assert found[1]
    return found[0][1], found[1][1]


def test_a_key_is_made_used_again_and_deleted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex"]) == 0
    url, key = url_and_key(home)
    assert key.startswith("pb-")
    assert key not in "".join(capsys.readouterr())
    assert ask(url, "/v1/models", key=key).status == 200
    assert main(["connect", "codex", "--model", "slow"]) == 0
    assert url_and_key(home) == (url, key)
    assert main(["connect", "codex", "--undo"]) == 0
    assert capsys.readouterr().err.endswith("Codex CLI is as it was before\n")
    ends = time.monotonic() + 10
    while ask(url, "/v1/models", key=key).status != 401:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_program_that_is_run_has_the_same_key_each_time(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show = ["run", "--", "sh", "-c", "echo $OPENAI_API_KEY"]
    command = [sys.executable, "-m", "portbroker", *show]
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    keys = {subprocess.run(command, env=variables, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(keys) == 1
    assert keys.pop().startswith("pb-")
    kept = home / ".local" / "state" / "portbroker" / "connect" / "keys.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_key_goes_to_no_other_gateway(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex"]) == 0
    url, key = url_and_key(home)
    kept = kept_keys(Machine(home, {}))
    assert kept.get("codex", url) == key
    assert kept.get("codex", "http://elsewhere") == kept.get("claude", url) == ""
    assert main(["connect", "codex", "--undo"]) == 0
    assert kept.get("codex", url) == ""
    kept.file.write_text("[]")
    assert main(["connect", "codex"]) == 1
    assert "keys.json cannot be understood" in capsys.readouterr().err


def test_print_makes_no_key(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex", "--print"]) == 0
    assert '+model = "fast"' in capsys.readouterr().out
    assert main(["keys", "list"]) == 0
    assert "codex of" not in capsys.readouterr().out


def test_a_key_that_was_given_is_not_ours_to_delete(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "mine", "--secret-only"]) == 0
    key = capsys.readouterr().out.strip()
    assert main(["connect", "codex", "--key", key]) == 0
    url, written = url_and_key(home)
    assert written == key
    assert main(["connect", "codex", "--undo"]) == 0
    assert ask(url, "/v1/models", key=key).status == 200


def test_a_key_that_is_refused_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex", "--key", "pb-0000000000000000000000000000000000000000000"]) == 1
    assert "does not take this key" in capsys.readouterr().err
    assert not (home / ".codex").exists()


def test_from_elsewhere_a_key_must_be_given(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["connect", "codex"]) == 0
    url, _ = url_and_key(home)
    assert main(["connect", "codex", "--undo"]) == 0
    capsys.readouterr()
    monkeypatch.chdir(home)
    assert main(["connect", "codex", "--url", url]) == 1
    said = capsys.readouterr().err
    assert "asks for an API key" in said
    assert "--key KEY" in said


def test_the_doctor_finds_a_key_that_is_no_more(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex"]) == 0
    file = home / ".codex" / "config.toml"
    file.write_text(file.read_text().replace("pb-", "pb-x"))
    capsys.readouterr()
    assert main(["doctor", "--no-providers"]) == 1
    assert "the gateway refuses its key" in capsys.readouterr().out
