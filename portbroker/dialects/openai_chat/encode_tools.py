"""Tools and the choice among them as chat functions.

The one rule: `tools`, `tool_choice` and `parallel_tool_calls` go together or not at all: the latter two alone are a
400.
"""

from typing import Any

from portbroker.config.options import Options
from portbroker.conversation import Json, Lasting, Report, Tool
from portbroker.dialects.client_tools import client_tool
from portbroker.dialects.schemas import openai_strict
from portbroker.dialects.tool_names import ToolNames
from portbroker.dialects.written import compact


def encode_tools(tools: list[Tool], choice: Json | None, names: ToolNames, options: Options, report: Report) -> Json:
    """The keys of the body that offer tools and say which must be used."""
    offer = _known_offer if isinstance(tools, Lasting) else _offer
    keys = offer(tools, names, options, report)
    if "tools" in keys:
        return {**keys, **_choice(choice, keys["tools"], names, options, report)}
    if choice is not None:
        report.add("dropped", "tool_choice")
    return keys


def _known_offer(tools: list[Tool], names: ToolNames, options: Options, report: Report) -> Json:
    """What `_offer` gives, names and report included, made once for all calls with these tools and options."""
    assert isinstance(tools, Lasting)
    made = tools.made.get("openai.chat")
    if made is None or made[0] is not options:
        own_names, own_report = ToolNames(options.tool_name_max), Report()
        keys = _offer(tools, own_names, options, own_report)
        made = tools.made["openai.chat"] = options, keys, own_names.shortened, list(own_report)
    _, keys, shortened, adaptations = made
    names.shortened.update(shortened)
    for adaptation in adaptations:
        report.add(adaptation.code, adaptation.path)
    return keys


def _offer(tools: list[Tool], names: ToolNames, options: Options, report: Report) -> Json:
    """The keys that offer tools."""
    keys: Json = {}
    functions: list[Json] = []
    searches = options.web_search == "options"
    for tool in tools:
        if searches and _is_web_search(tool):
            keys["web_search_options"] = _web_search(tool, report)
        elif function := _function(tool, names, options, report):
            functions.append({"type": "function", "function": function})
    if functions:
        keys["tools"] = functions
    return keys


def _function(tool: Tool, names: ToolNames, options: Options, report: Report) -> Json | None:
    """The function for one tool; None, and reported, for what only Anthropic runs."""
    data = tool.data
    callers = data.get("allowed_callers")
    function = None
    if not callers or "direct" in callers:
        function = _custom(data) if data.get("type") in (None, "custom") else client_tool(data)
    if function is None:
        report.add("dropped", tool.path)
        return None
    function["name"] = names.put(function["name"])
    if examples := data.get("input_examples"):
        _inline_examples(examples, function, tool, report)
    if data.get("strict"):
        _make_strict(function, tool, options, report)
    return function


def _custom(data: Json) -> Json:
    schema = data.get("input_schema") or {}
    if schema.get("type") is None or schema.get("properties") is None:
        schema = {**schema, "type": schema.get("type") or "object", "properties": schema.get("properties") or {}}
    function: Json = {"name": data["name"]}
    if description := data.get("description"):
        function["description"] = description
    function["parameters"] = schema
    return function


def _inline_examples(examples: list[Any], function: Json, tool: Tool, report: Report) -> None:
    lines = [compact(example, f"{tool.path}.input_examples[{index}]") for index, example in enumerate(examples)]
    text = "\n".join(["Example inputs:", *lines])
    function["description"] = f"{function['description']}\n\n{text}" if "description" in function else text
    report.add("inlined", f"{tool.path}.input_examples")


def _make_strict(function: Json, tool: Tool, options: Options, report: Report) -> None:
    if options.strict_tools and openai_strict(function["parameters"]):
        function["strict"] = True
    else:
        report.add("dropped", f"{tool.path}.strict")


def _choice(choice: Json | None, offered: list[Json], names: ToolNames, options: Options, report: Report) -> Json:
    if choice is None:
        return {}
    keys: Json = {}
    kind = choice["type"]
    if kind == "tool":
        name = names.put(choice["name"])
        if any(tool["function"]["name"] == name for tool in offered):
            keys["tool_choice"] = {"type": "function", "function": {"name": name}}
        else:
            report.add("dropped", "tool_choice")
    else:
        keys["tool_choice"] = options.tool_choice_any if kind == "any" else kind
    if choice.get("disable_parallel_tool_use"):
        keys["parallel_tool_calls"] = False
    return keys


def _is_web_search(tool: Tool) -> bool:
    return str(tool.data.get("type")).startswith("web_search_")


def _web_search(tool: Tool, report: Report) -> Json:
    """OpenAI's search models take a place; limits and lists of domains have no counterpart."""
    for name in ("max_uses", "allowed_domains", "blocked_domains"):
        if tool.data.get(name):
            report.add("dropped", f"{tool.path}.{name}")
    place = tool.data.get("user_location")
    if not isinstance(place, dict):
        return {}
    approximate = {name: place[name] for name in ("city", "country", "region", "timezone") if place.get(name)}
    return {"user_location": {"type": "approximate", "approximate": approximate}}
