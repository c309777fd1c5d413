"""Tools, the choice among them and their names, as Anthropic takes them.

The one rule: a name that Anthropic refuses gets the same substitute in definition, choice and history, and a way back.
"""

import hashlib
import re
from dataclasses import dataclass, field

from portbroker.config.options import Options
from portbroker.conversation import Json, Report, Tool

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_KEPT = 119  # and `_` and eight digits: 128


@dataclass(slots=True)
class Names:
    """Tool names of one call. `originals` maps the substitutes back to the client's."""

    originals: dict[str, str] = field(default_factory=dict)

    def legal(self, name: str) -> str:
        if _LEGAL.fullmatch(name):
            return name
        digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
        substitute = f"{_ILLEGAL.sub('_', name)[:_KEPT]}_{digest}"
        self.originals[substitute] = name
        return substitute


def encode_tools(tools: list[Tool], names: Names) -> list[Json]:
    return [_tool(tool.data, names) for tool in tools]


def _tool(data: Json, names: Names) -> Json:
    tool = {key: value for key, value in data.items() if key[:1] != "_"}
    tool["name"] = names.legal(data["name"])
    return tool


def encode_choice(choice: Json | None, offered: bool, names: Names, options: Options, report: Report) -> Json | None:
    """The choice. Without tools Anthropic refuses any."""
    if choice is None:
        return None
    if not offered:
        if is_forced(choice):
            report.add("dropped", "tool_choice")
        return None
    if choice["type"] == "none":
        return {"type": "none"}  # there is nothing to disable, and Anthropic refuses the key here
    if is_forced(choice) and options.no_forced_tools:
        report.add("changed", "tool_choice")
        return {**{key: value for key, value in choice.items() if key != "name"}, "type": "auto"}
    return {**choice, "name": names.legal(choice["name"])} if choice["type"] == "tool" else choice


def is_forced(choice: Json | None) -> bool:
    """Whether the model must call a tool."""
    return choice is not None and choice["type"] in ("any", "tool")


def legalise(messages: list[Json], names: Names) -> None:
    """Give the calls in encoded messages legal names. The lists are the body's own; blocks are replaced."""
    for message in messages:
        if message["role"] == "assistant" and isinstance(message["content"], list):
            message["content"] = [_legal_call(block, names) for block in message["content"]]


def _legal_call(block: Json, names: Names) -> Json:
    if block["type"] != "tool_use" or _LEGAL.fullmatch(block["name"]):
        return block
    return {**block, "name": names.legal(block["name"])}
