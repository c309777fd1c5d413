"""Tools and the choice among them as a Responses provider takes them: flat.

The one rule: `tools`, `tool_choice` and `parallel_tool_calls` go together or not at all.
"""

from portbroker.config.options import Options
from portbroker.conversation import Json, Report, Tool
from portbroker.dialects.client_tools import client_tool
from portbroker.dialects.schemas import openai_strict
from portbroker.dialects.tool_names import ToolNames
from portbroker.dialects.written import compact


def encode_tools(tools: list[Tool], choice: Json | None, names: ToolNames, options: Options, report: Report) -> Json:
    """The keys of the body that offer tools and say which must be used."""
    offered = [told for tool in tools if (told := _tool(tool, names, options, report))]
    if offered:
        return {"tools": offered, **_choice(choice, offered, names, report)}
    if choice is not None:
        report.add("dropped", "tool_choice")
    return {}


def _tool(tool: Tool, names: ToolNames, options: Options, report: Report) -> Json | None:
    """The tool; None, and reported, for what only Anthropic runs."""
    data = tool.data
    if isinstance(data.get("_custom"), dict):
        return _free_text(data["_custom"], names.put(data["name"]))
    callers = data.get("allowed_callers")
    function = None
    if not callers or "direct" in callers:
        function = _function(data) if data.get("type") in (None, "custom") else client_tool(data)
    if function is None:
        report.add("dropped", tool.path)
        return None
    described = _with_examples(function, tool, report)
    return {
        "type": "function",
        **described,
        "name": names.put(function["name"]),
        "strict": _strict(tool, function, options, report),
    }


def _function(data: Json) -> Json:
    schema = data.get("input_schema") or {}
    if schema.get("type") is None or schema.get("properties") is None:
        schema = {**schema, "type": schema.get("type") or "object", "properties": schema.get("properties") or {}}
    description = {"description": data["description"]} if data.get("description") else {}
    return {"name": data["name"], **description, "parameters": schema}


def _free_text(custom: Json, name: str) -> Json:
    """A tool that takes free text, as this API has it too; its grammar stands one level higher than in chat."""
    told: Json = {"type": "custom", "name": name}
    if custom.get("description"):
        told["description"] = custom["description"]
    form = custom.get("format")
    if isinstance(form, dict):
        inner = form.get("grammar")
        told["format"] = {"type": "grammar", **inner} if isinstance(inner, dict) else form
    return told


def _with_examples(function: Json, tool: Tool, report: Report) -> Json:
    examples = tool.data.get("input_examples")
    if not examples:
        return function
    lines = [compact(example, f"{tool.path}.input_examples[{index}]") for index, example in enumerate(examples)]
    report.add("inlined", f"{tool.path}.input_examples")
    text = "\n".join(["Example inputs:", *lines])
    return {**function, "description": "\n\n".join(filter(None, (function.get("description"), text)))}


def _strict(tool: Tool, function: Json, options: Options, report: Report) -> bool:
    """Always said: left out, the API makes optional parameters required where it can."""
    if not tool.data.get("strict"):
        return False
    if options.strict_tools and openai_strict(function["parameters"]):
        return True
    report.add("dropped", f"{tool.path}.strict")
    return False


def _choice(choice: Json | None, offered: list[Json], names: ToolNames, report: Report) -> Json:
    if choice is None:
        return {}
    keys: Json = {}
    if choice["type"] == "tool":
        name = names.put(choice["name"])
        kind = next((tool["type"] for tool in offered if tool["name"] == name), None)
        if kind is None:
            report.add("dropped", "tool_choice")
        else:
            keys["tool_choice"] = {"type": kind, "name": name}
    else:
        keys["tool_choice"] = "required" if choice["type"] == "any" else choice["type"]
    if choice.get("disable_parallel_tool_use"):
        keys["parallel_tool_calls"] = False
    return keys
