"""What the provider tells an agent to do, in the words of that agent's own tools.

The one rule: as in `scripted`, which turn comes next is read from the conversation, never remembered.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.clients.scripted import ToolCall, Turn
from tests.clients.scripted_responses import speaking
from tests.providers import Behaviour, Json

READ, WRITTEN, COPIED = "read-me.txt", "written.txt", "copied.txt"
SECRET = "the harbour is open"
"""What stands in the file that is to be read: only who has read it can pass it on."""
DONE = "All three are done."


def _patch(path: str, text: str) -> str:
    return f"*** Begin Patch\n*** Add File: {path}\n+{text}\n*** End Patch\n"


def _said(text: str) -> str:
    return json.dumps(text)


def _program(text: str, call: str) -> ToolCall:
    return ToolCall("functions__exec", {"input": text}, call, free=True)


@dataclass(frozen=True)
class Toolbox:
    """How one agent reads, writes and runs. The first whose `known` tool is offered is meant."""

    known: str
    read: Callable[[str], ToolCall]
    write: Callable[[str, str], ToolCall]
    run: Callable[[str], ToolCall]


TOOLBOXES = (
    Toolbox("Bash",
            lambda path: ToolCall("Read", {"file_path": path}, "call_read"),
            lambda path, text: ToolCall("Write", {"file_path": path, "content": text}, "call_write"),
            lambda command: ToolCall("Bash", {"command": command, "description": "Copy it"}, "call_run")),
    Toolbox("bash",
            lambda path: ToolCall("read", {"filePath": path}, "call_read"),
            lambda path, text: ToolCall("write", {"filePath": path, "content": text}, "call_write"),
            lambda command: ToolCall("bash", {"command": command, "description": "Copy it"}, "call_run")),
    Toolbox("run_shell_command",
            lambda path: ToolCall("read_file", {"file_path": path}, "call_read"),
            lambda path, text: ToolCall("write_file", {"file_path": path, "content": text}, "call_write"),
            lambda command: ToolCall("run_shell_command", {"command": command, "is_background": False}, "call_run")),
    Toolbox("run_commands",
            lambda path: ToolCall("read_files", {"files": [{"path": path}]}, "call_read"),
            lambda path, text: ToolCall("editor", {"path": path, "new_text": text + "\n"}, "call_write"),
            lambda command: ToolCall("run_commands", {"commands": [command]}, "call_run")),
    Toolbox("functions__exec",  # Codex, with a model that writes programs instead of calls
            lambda path: _program(f'text(await tools.exec_command({{cmd: "cat {path}"}}))', "call_read"),
            lambda path, text: _program(f"text(await tools.apply_patch({_said(_patch(path, text))}))", "call_w"),
            lambda command: _program(f'text(await tools.exec_command({{cmd: "{command}"}}))', "call_run")),
    Toolbox("apply_patch",  # with one that it knows
            lambda path: ToolCall("exec_command", {"cmd": f"cat {path}"}, "call_read"),
            lambda path, text: ToolCall("apply_patch", {"input": _patch(path, text)}, "call_write", free=True),
            lambda command: ToolCall("exec_command", {"cmd": command}, "call_run")),
    Toolbox("exec_command",  # and with one that it does not know
            lambda path: ToolCall("exec_command", {"cmd": f"cat {path}"}, "call_read"),
            lambda path, text: ToolCall("exec_command", {"cmd": f"printf '%s\\n' '{text}' > {path}"}, "call_write"),
            lambda command: ToolCall("exec_command", {"cmd": command}, "call_run")),
)  # fmt: skip


@dataclass
class Script:
    """The provider of one run: it answers in any dialect, and keeps what it was asked."""

    directory: Path
    seen: list[Json] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.json_response({"status": "ok"})
        body = await request.json()
        self.seen.append({"path": request.path, "body": body})
        return await self._behave(body)(request)

    def _behave(self, body: Json) -> Behaviour:
        names = offered(body)
        toolbox = next((toolbox for toolbox in TOOLBOXES if toolbox.known in names), None)
        return speaking(*self._turns(toolbox)) if toolbox else speaking(Turn("A title"))

    def _turns(self, toolbox: Toolbox) -> tuple[Turn, ...]:
        read, written, copied = (str(self.directory / name) for name in (READ, WRITTEN, COPIED))
        return (
            Turn("I read the file.", (toolbox.read(read),), thinking="First I must know what stands there."),
            Turn("I write it down.", (toolbox.write(written, SECRET),)),
            Turn("I copy it.", (toolbox.run(f"cp {written} {copied}"),)),
            Turn(DONE),
        )

    def was_told(self, text: str) -> bool:
        """Whether a conversation has held this."""
        return any(text in json.dumps(each["body"], ensure_ascii=False) for each in self.seen)


def offered(body: Json) -> set[str]:
    """The names of the tools of a call, in any dialect; those in a namespace with it before them."""
    later = [item for item in body.get("input") or [] if item.get("type") == "additional_tools"]
    spaces = [space for item in later for space in item["tools"]]
    named = {f"{space['name']}__{tool['name']}" for space in spaces for tool in space.get("tools") or []}
    tools = body.get("tools") or []
    return named | {
        str(tool.get("name") or (tool.get("function") or tool.get("custom") or {}).get("name")) for tool in tools
    }
