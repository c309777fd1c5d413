"""The tools of a Responses call, wherever they are listed, as canonical tools and a canonical choice.

The one rule: a tool that only OpenAI runs, or that is not known, is reported and never refused: Codex sends such tools
with every call. A malformed one is refused.
"""

from typing import Any

from portbroker.conversation import Json, Report, Tool
from portbroker.dialects.custom_tools import as_object, told_grammar
from portbroker.dialects.offered import described, function_tool, one_at_a_time
from portbroker.dialects.openai_responses.flat_names import FlatNames
from portbroker.dialects.reading import list_in, object_in, optional_list, refuse, text_in

_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


class Tools:
    """The tools of one call as they are found. Of two with one name the later counts, in the place of the first."""

    def __init__(self, report: Report) -> None:
        self.names = FlatNames()
        self._report = report
        self._offered: dict[str, Tool] = {}

    @property
    def offered(self) -> list[Tool]:
        return list(self._offered.values())

    def add(self, value: object, path: str) -> None:
        """Read the list of tools that stands at `path`; null is an empty one."""
        for index, tool in enumerate(optional_list(value, path)):
            self._tool(object_in(tool, f"{path}[{index}]"), f"{path}[{index}]")

    def _tool(self, tool: Json, path: str) -> None:
        if tool.get("type") != "namespace":
            self._member(tool, path, "")
            return
        whole = described(tool, path)
        for index, member in enumerate(optional_list(tool.get("tools"), f"{path}.tools")):
            where = f"{path}.tools[{index}]"
            self._member(_led(object_in(member, where), where, whole, index), where, whole["name"])

    def _member(self, tool: Json, path: str, namespace: str) -> None:
        kind = tool.get("type")
        if kind not in ("function", "custom") or not _is_direct(tool):
            self._report.add("dropped", path)
            return
        data = function_tool(tool, path) if kind == "function" else _custom(tool, path)
        flat = self.names.put(data["name"], namespace, kind)
        self._offered[flat] = Tool({**data, "name": flat}, path)

    def choose(self, body: Json) -> Json | None:
        """What is said of choosing; a filter of allowed tools shortens the list."""
        value = body.get("tool_choice")
        if isinstance(value, dict) and value.get("type") == "allowed_tools":
            self._allow(value)
            value = value.get("mode", "auto")
        return one_at_a_time(body, None if value is None else self._choice(value))

    def _choice(self, value: object) -> Json:
        if isinstance(value, str):
            kind = _CHOICES.get(value)
            return {"type": kind} if kind else refuse("tool_choice", "one of auto, required and none, or a named tool")
        choice = object_in(value, "tool_choice")
        if choice.get("type") in ("function", "custom"):
            return {"type": "tool", "name": self._named(choice, "tool_choice")}
        self._report.add("changed", "tool_choice")  # one of OpenAI's own tools, which are not offered
        return {"type": "auto"}

    def _allow(self, choice: Json) -> None:
        path = "tool_choice.tools"
        found = enumerate(list_in(choice.get("tools"), path))
        named = [(object_in(value, f"{path}[{index}]"), f"{path}[{index}]") for index, value in found]
        names = {self._named(one, at) for one, at in named if one.get("type") in ("function", "custom")}
        self._offered = {name: tool for name, tool in self._offered.items() if name in names}

    def _named(self, choice: Json, path: str) -> str:
        namespace = choice.get("namespace")
        name = text_in(choice.get("name"), f"{path}.name")
        return self.names.put(name, namespace if isinstance(namespace, str) else "")


def _led(member: Json, path: str, namespace: Json, index: int) -> Json:
    """A tool of a namespace. The first one says what there is to be said of them all, since nothing else could."""
    if index or "description" not in namespace:
        return member
    told = f"{namespace['name']} (every tool whose name begins so): {namespace['description']}"
    own = described(member, path).get("description")
    return {**member, "description": f"{own}\n\n{told}" if own else told}


def _is_direct(tool: Json) -> bool:
    """Whether the model itself may call the tool, and not only a program that it writes."""
    callers = tool.get("allowed_callers")
    return not isinstance(callers, list) or not callers or "direct" in callers


def _custom(tool: Json, path: str) -> Json:
    return {**as_object(described(tool, path), _grammar(tool.get("format"), f"{path}.format")), "_custom": tool}


def _grammar(form: Any, path: str) -> str:
    if form is None or object_in(form, path).get("type") != "grammar":
        return ""
    return told_grammar(form, path)
