"""`python -m tests.clients.agents`."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.agents.installing import Installed, install, version_of
from tests.clients.agents.script import COPIED, DONE, READ, SECRET, WRITTEN, Script
from tests.providers import serving

DIALECTS = {"chat": "openai.chat", "anthropic": "anthropic.messages", "responses": "openai.responses"}
PROMPT = f"Read {READ}, write what it says to {WRITTEN}, and copy that to {COPIED}."
_SETTINGS = ("settings.json", "config.toml", "opencode.json", "providers.json")
_FILE = """
server: {{port: 0}}
providers:
  - name: Scripted
    provider_type: custom
    base_url: {url}/v1
    api_key: sk-none
    models: [{model}]
    translation: {{dialect: {dialect}, options: {{reasoning: effort}}}}
models:
  - {{match: "*", targets: [{{provider: Scripted, model: scripted}}]}}
"""


@dataclass(frozen=True)
class Agent:
    """One agent. `model` is what it is connected with (None: its own), `arguments` what makes it work alone."""

    name: str
    client: str
    command: list[str]
    arguments: list[str]
    dialects: tuple[str, ...] = ("chat", "anthropic")
    model: str | None = None
    environment: Mapping[str, str] | None = None


def agents(installed: Installed) -> list[Agent]:
    """All that are tried."""
    codex = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT]
    claude = ["-p", PROMPT, "--dangerously-skip-permissions"]
    quiet = {"IS_SANDBOX": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    every = tuple(DIALECTS)
    return [
        Agent("Claude Code", "claude", installed.claude, claude, every, environment=quiet),
        Agent("Codex", "codex", installed.codex, codex, every, "any-model"),
        Agent("Codex as gpt-5.5", "codex", installed.codex, codex, every, "gpt-5.5"),
        Agent("Codex as gpt-6.1-sol", "codex", installed.codex, codex, every, "gpt-6.1-sol"),
        Agent("OpenCode", "opencode", installed.opencode, ["run", "--auto", PROMPT], every, "any-model"),
        Agent("Cline", "cline", installed.cline, [PROMPT], every, "any-model"),
        Agent("Qwen Code", "qwen", installed.qwen, ["--yolo", "-p", PROMPT], every, "any-model"),
    ]


@dataclass(frozen=True)
class Outcome:
    """What came of one run; `failed` says what did not happen."""

    agent: str
    version: str
    dialect: str
    failed: tuple[str, ...]
    calls: int


async def tried(agent: Agent, dialect: str, home: Path) -> Outcome:
    """One agent, connected and set to work in a directory of its own."""
    work = home / "work"
    work.mkdir(parents=True)
    (work / READ).write_text(SECRET + "\n")
    script = Script(work)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1",
        # They look for the internet when they start; this leaves them this machine alone.
        "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost",
        **(agent.environment or {}),
    }  # fmt: skip
    async with serving(script) as provider:
        config = home / "portbroker.yaml"
        config.write_text(_FILE.format(url=provider.url, dialect=DIALECTS[dialect], model=agent.model or "scripted"))
        async with _gateway(config, environment) as url:
            connect = [sys.executable, "-m", "portbroker", "connect", agent.client]
            model = ["--model", agent.model] if agent.model else []
            before = _files(home)
            await _output([*connect, "--url", url, *model], environment, Path.cwd())
            said = await _output([*agent.command, *agent.arguments], environment, work)
            await _output([*connect, "--undo"], environment, Path.cwd())
    (home / "said.txt").write_text(said)
    (home / "asked.json").write_text(json.dumps(script.seen, indent=1, ensure_ascii=False))
    version = await asyncio.to_thread(version_of, agent.command, environment)
    failed = tuple(what for what, happened in _checks(work, script, said, home, before) if not happened)
    return Outcome(agent.name, version, dialect, failed, len(script.seen))


def _checks(work: Path, script: Script, said: str, home: Path, before: set[Path]) -> list[tuple[str, bool]]:
    settings = [file for file in _files(home) - before if file.name in _SETTINGS]
    return [
        ("its calls came through the gateway", _passed(home) >= len(script.seen) > 0),
        ("the file was read", script.was_told(SECRET)),
        ("a file was written", _text(work / WRITTEN) == SECRET),
        ("a command was run", _text(work / COPIED) == SECRET),
        ("the last words were shown", DONE in said),
        ("the settings were put back", not any("127.0.0.1" in file.read_text() for file in settings)),
    ]


def _passed(home: Path) -> int:
    """How many calls the gateway has carried."""
    lines = (home / "gateway.log").read_text().splitlines()
    return sum(" -> Scripted/scripted " in line for line in lines)


def _files(home: Path) -> set[Path]:
    return {file for file in home.rglob("*") if file.is_file()}


def _text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


async def _output(command: list[str], environment: Mapping[str, str], directory: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(180):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "it did not end"
    return output.decode(errors="replace")


@contextlib.asynccontextmanager
async def _gateway(config: Path, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """A gateway that serves this file; its log stays beside it."""
    command = [sys.executable, "-m", "portbroker", "serve", str(config), "--port", "0", "--log", "all"]
    log = config.with_name("gateway.log")
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*command, env=dict(environment), stderr=file)
    try:
        async with asyncio.timeout(30):
            while "serving http" not in log.read_text():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield "http" + log.read_text().partition("serving http")[2].partition(",")[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def main() -> int:
    """Try them all, and tell; 0 when all of it happened."""
    parser = argparse.ArgumentParser(description="Try the command-line agents of npm through the gateway.")
    parser.add_argument("--install", type=Path, default=Path(tempfile.gettempdir()) / "portbroker-agents",
                        help="where they are installed")  # fmt: skip
    parser.add_argument("--only", help="an agent by a part of its name")
    parser.add_argument("--keep", type=Path, help="a directory for their homes, logs and what they said")
    arguments = parser.parse_args()
    kept = arguments.keep or Path(tempfile.mkdtemp(prefix="portbroker-agents-"))
    failures = 0
    for agent in agents(install(arguments.install)):
        if (arguments.only or "").lower() not in agent.name.lower():
            continue
        for dialect in agent.dialects:
            outcome = asyncio.run(tried(agent, dialect, kept / f"{agent.client}-{agent.model}-{dialect}"))
            failures += bool(outcome.failed)
            came = "; ".join(f"NOT: {what}" for what in outcome.failed) or "read, wrote, ran, ended"
            print(f"{agent.name:<24} {outcome.version:<9} {dialect:<10} {outcome.calls:>2} calls  {came}", flush=True)
    print(f"kept: {kept}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
