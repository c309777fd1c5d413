"""`python -m tests.clients.toolkits`."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from aiohttp import web

from tests.clients.front import fronting
from tests.clients.scripted import ToolCall, Turn
from tests.clients.scripted_responses import speaking
from tests.providers import Json

SCRIPTS: Final = Path(__file__).parent / "scripts"
PYPI: Final = {
    "openai-agents": "0.24.0", "langchain-openai": "1.7.3", "langchain-anthropic": "1.7.7",
    "pydantic-ai-slim[openai,anthropic]": "2.68.0", "litellm": "1.83.0",
}  # fmt: skip
NPM: Final = {
    "ai": "6.0.326", "@ai-sdk/openai": "3.0.141", "@ai-sdk/anthropic": "3.0.139", "@ai-sdk/openai-compatible": "2.0.91",
    "zod": "4.6.7",
}  # fmt: skip
NAMES: Final = {
    "agents_.py": "OpenAI Agents SDK", "langchain_.py": "LangChain", "vercel.mjs": "Vercel AI SDK",
    "pydantic_ai_.py": "Pydantic AI", "litellm_.py": "LiteLLM",
}  # fmt: skip
DIALECTS: Final = {"chat": "openai.chat", "anthropic": "anthropic.messages", "responses": "openai.responses"}
EXPECTED: Final = (
    "text: Hello there", "stream: Hello there", "tools: Sun in Paris.", "tools streamed: Sun in Paris.",
    "structured: Oslo 21",
)  # fmt: skip
"""What each script says, once for each API that it tries."""
_CITY: Final = {"city": "Oslo", "degrees": 21}


async def behave(request: web.Request) -> web.StreamResponse:
    """A call of `weather` and what came of it, JSON where it is asked for, else a greeting."""
    body = await request.json()
    return await speaking(*_turns(body))(request)


def _turns(body: Json) -> tuple[Turn, ...]:
    tools = body.get("tools") or []
    names = [tool.get("name") or (tool.get("function") or {}).get("name") for tool in tools]
    if "weather" in names:
        return Turn("I look.", (ToolCall("weather", {"city": "Paris"}),)), Turn("Sun in Paris.")
    if names:  # a form to be filled in
        return (Turn("", (ToolCall(str(names[0]), _CITY),)),)
    return (Turn(json.dumps(_CITY) if '"json_schema"' in json.dumps(body) else "Hello there"),)


def install(directory: Path) -> dict[str, list[str]]:
    """All of them in a directory; the beginning of a command line for each kind of script."""
    directory.mkdir(parents=True, exist_ok=True)
    python = directory / "py" / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", directory / "py"], check=True)
    wanted = [f"{name}=={version}" for name, version in PYPI.items()]
    subprocess.run(["uv", "pip", "install", "-q", "-p", python, *wanted], check=True, timeout=600)
    (directory / "package.json").write_text('{"name": "toolkits", "private": true, "type": "module"}')
    if not (directory / "node_modules" / "zod").exists():
        packages = [f"{name}@{version}" for name, version in NPM.items()]
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
        subprocess.run(["npm", "install", *options, *packages], cwd=directory, check=True, timeout=600)
    return {".py": [str(python)], ".mjs": ["node"]}


async def tried(command: list[str], dialect: str, environment: dict[str, str]) -> tuple[int, list[str]]:
    """How many APIs went through it all, and what was said in the end."""
    async with fronting(behave, dialect=DIALECTS[dialect]) as front:
        url = str(front.anthropic.base_url).rstrip("/")
        process = await asyncio.create_subprocess_exec(
            *command, url, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
    lines = output.decode().splitlines()
    said = [line for line in lines if line.partition(":")[0] in {each.partition(":")[0] for each in EXPECTED}]
    rounds = [tuple(said[at : at + len(EXPECTED)]) for at in range(0, len(said), len(EXPECTED))]
    good = process.returncode == 0 and all(each == EXPECTED for each in rounds)
    return (len(rounds), []) if good else (0, lines[-12:])


def main() -> int:
    """Run them all, and tell; 0 when each said what it must."""
    parser = argparse.ArgumentParser(description="Try toolkits of npm and PyPI through the gateway.")
    parser.add_argument("--install", type=Path, default=Path(tempfile.gettempdir()) / "portbroker-toolkits",
                        help="where they are installed")  # fmt: skip
    parser.add_argument("--only", help="one by a part of its name")
    arguments = parser.parse_args()
    runs = install(arguments.install)
    kept = {"PATH": os.environ["PATH"], "HOME": str(arguments.install), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    failures = 0
    for script, name in NAMES.items():
        if (arguments.only or "").lower() not in name.lower():
            continue
        # Modules are found beside the script that imports them.
        copy = arguments.install / f"try-{script}"
        copy.write_text((SCRIPTS / script).read_text())
        for dialect in DIALECTS:
            rounds, said = asyncio.run(tried([*runs[copy.suffix], str(copy)], dialect, kept))
            failures += not rounds
            print(f"{name:<18} {dialect:<10} {f'{rounds} APIs, all of it' if rounds else 'NOT'}", *said, sep="\n    "
                  if said else " ", flush=True)  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
