"""The tools that a call offers once the conversation's own additions and removals are applied.

The one rule: the later change wins, and the order of the tools stays that in which they were declared.
"""

from typing import Any, Final

from portbroker.conversation import Block, Json, Report, Tool
from portbroker.dialects.anthropic_messages.shapes import check_tool

CHANGES: Final = frozenset({"tool_addition", "tool_removal"})


def changes_of(block: Block) -> list[tuple[Json, str]]:
    """The changes that a block says, with their places: itself, or those that a compaction carries on."""
    if block.kind in CHANGES:
        return [(block.data, block.path)]
    kept = block.data.get("tool_changes") if block.kind == "compaction" else None
    if not isinstance(kept, list):
        return []
    return [(change, f"{block.path}.tool_changes[{n}]") for n, change in enumerate(kept) if _is_change(change)]


def apply_changes(tools: list[Tool], changes: list[tuple[Json, str]], report: Report) -> list[Tool]:
    """The tools in effect at the end of the conversation. What names no tool of ours (MCP) is reported as dropped."""
    known = {_key(tool): tool for tool in tools}
    withdrawn: set[str] = set()
    for change, path in changes:
        name = _name(change["tool"], known, path)
        if name not in known:
            report.add("dropped", path)
        elif change["type"] == "tool_removal":
            withdrawn.add(name)
        else:
            withdrawn.discard(name)
    return [tool for key, tool in known.items() if key not in withdrawn]


def _name(reference: Json, known: dict[str, Tool], path: str) -> str:
    """The name that a reference gives; a definition becomes known by it."""
    definition: Any = reference.get("definition")
    if reference.get("type") == "tool_definition":
        tool = Tool(definition, f"{path}.tool.definition")
        check_tool(definition, tool.path)
        known[_key(tool)] = tool
        return _key(tool)
    name = reference.get("name")
    return name if isinstance(name, str) and reference.get("type") == "tool_reference" else ""


def _key(tool: Tool) -> str:
    name = tool.data.get("name")
    return name if isinstance(name, str) else tool.path


def _is_change(change: Any) -> bool:
    return isinstance(change, dict) and change.get("type") in CHANGES and isinstance(change.get("tool"), dict)
