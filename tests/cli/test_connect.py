"""`portbroker connect` in front of a real gateway."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portbroker.app import running
from portbroker.cli import main
from portbroker.cli.connect import masked
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text

FILE = """
providers:
  - {name: Local, base_url: "http://127.0.0.1:9/v1", api_key: k, models: [fast, slow]}
"""


@dataclass
class Run:
    """Runs a command line beside the gateway; what it printed."""

    url: str
    home: Path
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *args: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, args)
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err


@pytest.fixture
async def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    for name in [name for name in os.environ if name.startswith(("XDG_", "PORTBROKER_", "CLAUDE_", "CODEX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config = load_text(FILE.encode(), file="test.yaml", directory=tmp_path, environ={})
    async with running(compile_snapshot(config), host="127.0.0.1", port=0, max_body=2**20) as listening:
        yield Run(listening.url, tmp_path, capsys)


async def test_a_client_is_connected_and_put_back(run: Run) -> None:
    status, out, err = await run("connect", "codex", "--url", run.url + "/v1/")
    assert status == 0
    assert '+model = "fast"\n' in out
    assert f'+base_url = "{run.url}/v1"\n' in out
    assert err == f"Codex CLI now asks {run.url}: start `codex`; `portbroker connect codex --undo` puts it back\n"
    assert "connected to" in (await run("connect", "codex", "--url", run.url))[2]
    status, out, err = await run("connect", "codex", "--undo")
    assert (status, err) == (0, "Codex CLI is as it was before\n")
    assert '-model = "fast"' in out
    assert not (run.home / ".codex" / "config.toml").exists()
    status, _, err = await run("connect", "codex", "--undo")
    assert status == 1
    assert "Codex CLI was not connected by this command" in err


async def test_print_shows_and_writes_nothing(run: Run) -> None:
    status, out, _ = await run(
        "connect", "claude", "--url", run.url, "--print", "--model", "slow", "--key", "pb-0123456789"
    )
    assert status == 0
    assert f'"ANTHROPIC_BASE_URL": "{run.url}"' in out
    assert '"ANTHROPIC_AUTH_TOKEN": "pb-…"' in out
    assert '"model": "slow"' in out
    assert not [file for file in run.home.rglob("*") if file.is_file()]


async def test_a_key_of_the_users_is_never_shown(run: Run) -> None:
    file = run.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{\n  "apiKeyHelper": "x",\n  "env": {\n    "ANTHROPIC_AUTH_TOKEN": "sk-ant-very-secret"\n  }\n}\n')
    _, out, err = await run("connect", "claude", "--url", run.url)
    assert '-    "ANTHROPIC_AUTH_TOKEN": "sk-…"' in out
    assert "very-secret" not in out + err
    assert json.loads(file.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"] == "portbroker"
    await run("connect", "claude", "--undo")
    assert "very-secret" in file.read_text()
    kept = run.home / ".local" / "state" / "portbroker"
    assert not [file for file in kept.rglob("*") if file.is_file()]


async def test_the_variables_are_for_a_shell(run: Run) -> None:
    status, out, _ = await run("connect", "env", "--url", run.url)
    assert status == 0
    assert out.splitlines()[0] == f"export ANTHROPIC_BASE_URL={run.url}"
    assert (await run("connect", "env", "--undo"))[1].startswith("unset ANTHROPIC_BASE_URL ")


async def test_a_gateway_that_does_not_run_yet_is_taken_from_its_file(run: Run) -> None:
    (run.home / "portbroker.yaml").write_text("server: {host: 0.0.0.0, port: 1}\n" + FILE)
    status, out, err = await run("connect", "qwen")
    assert status == 0
    assert '"baseUrl": "http://127.0.0.1:1/v1"' in out
    assert '"name": "fast"' in out
    assert "http://127.0.0.1:1 (portbroker.yaml) does not answer yet: Connection refused" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("aider", "--url", "http://127.0.0.1:1"), "lists no models to choose from"),
        (("claude", "--url", "http://127.0.0.1:1", "--config", "none.yaml"), "none.yaml: no such file"),
    ],
)
async def test_what_is_missing_is_said(run: Run, args: tuple[str, ...], message: str) -> None:
    status, _, err = await run("connect", *args)
    assert status == 1
    assert message in err


async def test_a_broken_file_is_said_with_its_place(run: Run) -> None:
    file = run.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text("{\n  // mine\n}\n")
    status, _, err = await run("connect", "claude", "--url", run.url)
    assert status == 1
    assert f"{file}:2:3: a comment, which this file may not hold" in err
    assert "nothing was changed" in err
    assert file.read_text() == "{\n  // mine\n}\n"


def test_what_is_no_address_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["connect", "claude", "--url", "localhost:8000"])
    assert caught.value.code == 2
    assert "is no address such as http://127.0.0.1:8000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"apiKey": "abcdef"', '"apiKey": "abc…"'),
        ("experimental_bearer_token = 'abcdef'", "experimental_bearer_token = 'abc…'"),
        ("openai-api-key: abcdef # x", "openai-api-key: abc… # x"),
        ('"portbroker": "pb-1234567"', '"portbroker": "pb-…"'),
        ('"apiKey": "portbroker"', '"apiKey": "portbroker"'),
        ('"model": "sk-5"', '"model": "sk-5"'),
    ],
)
def test_keys_are_masked_wherever_they_stand(text: str, shown: str) -> None:
    assert masked(text) == shown
