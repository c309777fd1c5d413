"""What both of OpenAI's APIs say of a tool and of choosing one, as Anthropic would have it.

The one rule: a malformed tool is refused, with its place in the body.
"""

from portbroker.conversation import Json
from portbroker.dialects.reading import object_in, optional_flag, text_in

_NO_PARAMETERS: Json = {"type": "object", "properties": {}}


def described(tool: Json, path: str) -> Json:
    """Name and description."""
    data: Json = {"name": text_in(tool.get("name"), f"{path}.name")}
    if tool.get("description"):
        data["description"] = text_in(tool["description"], f"{path}.description")
    return data


def function_tool(function: Json, path: str) -> Json:
    """A function as a tool that takes an object."""
    data = described(function, path)
    parameters = function.get("parameters")
    schema: Json = object_in(parameters, f"{path}.parameters") if parameters is not None else {}
    data["input_schema"] = {"type": "object", **schema} if schema else _NO_PARAMETERS
    if function.get("strict") is True:
        data["strict"] = True
    return data


def one_at_a_time(body: Json, choice: Json | None) -> Json | None:
    """The choice, for a call that wants no two tools called at once."""
    if optional_flag(body, "parallel_tool_calls") is not False:
        return choice
    return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
