"""`portbroker doctor` beside a real gateway: file, gateway and clients; providers have tests of their own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portbroker.app import running
from portbroker.cli import main
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from tests.providers import answers, serving

FILE = """
providers:
  - {name: Local, base_url: "URL/v1", api_key: k, models: [fast, "slow-*"], small_model: tiny}
models:
  - {match: other, targets: [{provider: Local, model: another}]}
"""


@dataclass
class Run:
    """Runs the command; its status, and its findings by whom they are about."""

    url: str
    home: Path
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *args: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
        status = await asyncio.to_thread(main, ("doctor", "--json", *args))
        said = json.loads(self.capsys.readouterr().out)
        assert said["ok"] == (status == 0)
        assert all(finding["hint"] for finding in said["findings"] if finding["state"] in ("bad", "doubtful"))
        by: dict[str, list[tuple[str, str]]] = {}
        for finding in said["findings"]:
            by.setdefault(finding["about"], []).append((finding["state"], finding["what"]))
        return status, by


@pytest.fixture
async def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    strange = ("XDG_", "PORTBROKER_", "CLAUDE_", "CODEX_", "ANTHROPIC_", "OPENAI_")
    for name in [name for name in os.environ if name.startswith(strange)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    listed = {"data": [{"id": name} for name in ("fast", "tiny", "another")]}
    async with serving(answers(listed)) as provider:
        file = tmp_path / "portbroker.yaml"
        file.write_text(FILE.replace("URL", provider.url))
        snapshot = compile_snapshot(load(file))
        async with running(snapshot, host="127.0.0.1", port=0, max_body=2**20) as listening:
            port = listening.url.rpartition(":")[2]
            monkeypatch.setenv("PORT", port)
            yield Run(listening.url, tmp_path, capsys)


async def test_where_nothing_is_broken_all_is_good(run: Run) -> None:
    await asyncio.to_thread(main, ("connect", "codex", "--url", run.url))
    run.capsys.readouterr()
    status, by = await run()
    assert status == 0
    assert [state for state, _ in by["file"] + by["gateway"]] == ["good"] * 3
    assert by["Local"][-1] == ("good", "it knows tiny, fast, another")
    assert by["Codex CLI"] == [("good", f"{run.home}/.codex/config.toml leads here")]


async def test_a_file_that_was_saved_and_is_not_served_is_noticed(run: Run) -> None:
    file = run.home / "portbroker.yaml"
    file.write_text(file.read_text() + "# saved\n")
    status, by = await run("--no-providers")
    assert status == 0
    assert by["gateway"][1][0] == "doubtful"
    assert "Local" not in by


async def test_a_broken_file_is_told_with_its_places(run: Run) -> None:
    (run.home / "portbroker.yaml").write_text("providers: [{name: A, priority: high}]\nserver: 3\n")
    status, by = await run()
    assert status == 1
    assert any("portbroker.yaml:1:" in what for _, what in by["file"])
    assert {state for state, _ in by["file"]} == {"bad"}


async def test_without_a_file_and_a_gateway_both_are_missed(run: Run) -> None:
    (run.home / "portbroker.yaml").unlink()
    status, by = await run("--url", "http://127.0.0.1:1")
    assert status == 1
    assert by["file"] == [("bad", "there is no portbroker.yaml here")]
    assert by["gateway"] == [("bad", "nothing answers at http://127.0.0.1:1: Connection refused")]


async def test_what_is_no_portbroker_is_told_so(run: Run) -> None:
    async with serving(answers({"name": "nginx"})) as other:
        status, by = await run("--url", other.url, "--no-providers")
        assert status == 1
        assert by["gateway"] == [("bad", f"what answers at {other.url} is no PortBroker")]


async def test_clients_that_lead_elsewhere_are_doubtful(run: Run) -> None:
    settings = {
        ".claude/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}}',
        ".codex/config.toml": f'model_provider = "openai"\n[model_providers.portbroker]\nbase_url = "{run.url}/v1"\n',
        ".qwen/settings.json": "{",
    }
    for name, text in settings.items():
        (run.home / name).parent.mkdir()
        (run.home / name).write_text(text)
    status, by = await run("--no-providers")
    assert status == 1
    assert by["Claude Code"] == [
        ("doubtful", f"{run.home}/.claude/settings.json leads to http://127.0.0.1:1, not here")
    ]
    assert by["Codex CLI"][0][0] == "doubtful"
    assert "another is chosen" in by["Codex CLI"][0][1]
    assert by["Qwen Code"] == [("bad", f"{run.home}/.qwen/settings.json:1:2: a name in double quotes is expected")]


async def test_a_model_that_is_not_served_is_found_before_the_client_asks(run: Run) -> None:
    await asyncio.to_thread(main, ("connect", "claude", "--url", run.url))
    await asyncio.to_thread(main, ("connect", "aider", "--url", run.url, "--model", "nobodys"))
    await asyncio.to_thread(main, ("connect", "opencode", "--url", run.url, "--model", "slow-one"))
    run.capsys.readouterr()
    status, by = await run("--no-providers")
    assert status == 1
    assert [state for state, _ in by["Claude Code"]] == ["good", "bad", "bad", "bad"]
    assert "'claude-opus-5-5'" in by["Claude Code"][1][1]
    assert "'nobodys'" in by["Aider"][1][1]
    assert [state for state, _ in by["OpenCode"]] == ["good"]
    await asyncio.to_thread(main, ("connect", "claude", "--url", run.url, "--model", "slow-one"))
    run.capsys.readouterr()
    assert [state for state, _ in (await run("--no-providers"))[1]["Claude Code"]] == ["good"]


async def test_variables_that_lead_elsewhere_are_doubtful(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
    monkeypatch.setenv("OPENAI_BASE_URL", run.url.replace("127.0.0.1", "localhost") + "/v1")
    _, by = await run("--no-providers")
    assert by["environment"] == [("doubtful", "ANTHROPIC_BASE_URL leads to https://api.anthropic.com, not here")]


async def test_a_person_reads_what_is_broken_and_what_to_do(run: Run) -> None:
    (run.home / ".claude").mkdir()
    (run.home / ".claude" / "settings.json").write_text("{,}")
    status = await asyncio.to_thread(main, ("doctor", "--no-providers"))
    lines = run.capsys.readouterr().out.splitlines()
    assert status == 1
    at = lines.index("Claude Code")
    assert lines[at + 1].startswith("  bad   ")
    assert lines[at + 2] == "        mend it there"
    assert lines[-1] == "1 broken"
