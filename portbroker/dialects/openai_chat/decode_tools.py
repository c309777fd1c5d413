"""The tools of a chat call, in today's words and in those of `functions`, as canonical tools and a canonical choice.

The one rule: a tool of unknown type is reported, a malformed one refused.
"""

from dataclasses import dataclass, field

from portbroker.conversation import Json, Report, Tool
from portbroker.dialects.attachments import cache_mark
from portbroker.dialects.custom_tools import as_object, told_grammar
from portbroker.dialects.offered import described, function_tool, one_at_a_time
from portbroker.dialects.reading import list_in, object_in, optional_list, refuse, text_in


@dataclass(slots=True)
class Tools:
    """The tools offered, which of them take free text, and what was said of choosing.

    `choice_path` is the key that the choice was read from.
    """

    offered: list[Tool] = field(default_factory=list)
    custom: frozenset[str] = frozenset()
    choice: Json | None = None
    choice_path: str = "tool_choice"


def decode_tools(body: Json, report: Report) -> Tools:
    """All that a body says of tools. Raises `CallError` for what is malformed."""
    tools = Tools()
    for index, value in enumerate(optional_list(body.get("tools"), "tools")):
        path = f"tools[{index}]"
        data = _tool(object_in(value, path), path)
        if data is None:
            report.add("dropped", path)
        else:
            tools.offered.append(Tool(data, path))
    for index, value in enumerate(optional_list(body.get("functions"), "functions")):
        path = f"functions[{index}]"
        tools.offered.append(Tool(function_tool(object_in(value, path), path), path))
    tools.custom = frozenset(tool.data["name"] for tool in tools.offered if "_custom" in tool.data)
    _choose(tools, body)
    return tools


def _tool(tool: Json, path: str) -> Json | None:
    kind = tool.get("type", "function" if "function" in tool else None)
    if kind == "custom":
        data = _custom(object_in(tool.get("custom"), f"{path}.custom"), f"{path}.custom")
    elif kind == "function":
        data = function_tool(object_in(tool.get("function"), f"{path}.function"), f"{path}.function")
    else:
        return None if isinstance(kind, str) else refuse(f"{path}.type", "a string")
    mark = cache_mark(tool)
    return {**data, "cache_control": mark} if mark else data


def _custom(custom: Json, path: str) -> Json:
    """A tool that takes free text as one that takes an object; its grammar, which has no field, in the description."""
    return {**as_object(described(custom, path), _grammar(custom.get("format"), f"{path}.format")), "_custom": custom}


def _grammar(form: object, path: str) -> str:
    if form is None or object_in(form, path).get("type") != "grammar":
        return ""
    grammar = object_in(object_in(form, path).get("grammar"), f"{path}.grammar")
    return told_grammar(grammar, f"{path}.grammar")


def _choose(tools: Tools, body: Json) -> None:
    """Fill in the choice; a filter of allowed tools shortens the list."""
    if body.get("tool_choice") is None and body.get("function_call") is not None:
        tools.choice_path = "function_call"
    value = body.get(tools.choice_path)
    if isinstance(value, dict) and value.get("type") == "allowed_tools":
        allowed = object_in(value.get("allowed_tools", value), "tool_choice.allowed_tools")
        tools.offered = _allowed(tools.offered, allowed)
        value = text_in(allowed.get("mode", "auto"), "tool_choice.allowed_tools.mode")
    if value is not None:
        tools.choice = _choice(value, tools.choice_path)
    tools.choice = one_at_a_time(body, tools.choice)


def _choice(value: object, path: str) -> Json:
    if isinstance(value, str):
        kind = {"auto": "auto", "required": "any", "any": "any", "none": "none"}.get(value)
        return {"type": kind} if kind else refuse(path, "one of auto, required and none, or a named tool")
    choice = object_in(value, path)
    return {"type": "tool", "name": _name(choice, path)}


def _allowed(offered: list[Tool], allowed: Json) -> list[Tool]:
    path = "tool_choice.allowed_tools.tools"
    names = {
        _name(object_in(value, f"{path}[{index}]"), f"{path}[{index}]")
        for index, value in enumerate(list_in(allowed.get("tools"), path))
    }
    return [tool for tool in offered if tool.data["name"] in names]


def _name(choice: Json, path: str) -> str:
    """The name in `{"type": "function", "function": {"name"}}`, its custom twin, or the legacy `{"name"}`."""
    kind = "custom" if choice.get("type") == "custom" else "function"
    named = choice.get(kind)
    return text_in(named.get("name") if isinstance(named, dict) else choice.get("name"), f"{path}.{kind}.name")
