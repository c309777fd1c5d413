"""What the content blocks of a Messages request must look like before anything reads them.

The one rule: only what translation touches is checked. Unknown keys pass, and so do unknown types of block: an encoder
reports those that its target cannot take. What passes here can be relied on from then on.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from portbroker.conversation import Json
from portbroker.errors import CallError

Kinds: TypeAlias = type | tuple[type, ...]
Fields: TypeAlias = Mapping[str, Kinds]

NUMBER: Final = (int, float)

_WORDS: Final[dict[Kinds, str]] = {
    str: "a string", dict: "an object", list: "an array", int: "an integer", bool: "true or false",
    NUMBER: "a number", (str, list): "a string or an array",
}  # fmt: skip

# The fields of each type of block: those that must be there, and those that may be left out or null.
_REQUIRED: Final[dict[str, Fields]] = {
    "text": {"text": str},
    "image": {"source": dict},
    "document": {"source": dict},
    "search_result": {"source": str, "title": str, "content": list},
    "thinking": {"thinking": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "server_tool_use": {"id": str, "name": str, "input": dict},
    "mcp_tool_use": {"id": str, "name": str, "input": dict},
    "tool_result": {"tool_use_id": str},
    "tool_reference": {"tool_name": str},
    "tool_addition": {"tool": dict},
    "tool_removal": {"tool": dict},
}
_OPTIONAL: Final[dict[str, Fields]] = {
    "document": {"title": str, "context": str, "citations": dict},
    "search_result": {"citations": dict},
    "thinking": {"signature": str},
    "tool_result": {"content": (str, list), "is_error": bool},
    "compaction": {"content": str},
}
_SOURCES: Final[dict[str, Fields]] = {
    "base64": {"media_type": str, "data": str},
    "url": {"url": str},
    "file": {"file_id": str},
    "text": {"data": str},
    "content": {"content": (str, list)},
}
_TOOL_TYPES: Final[Fields] = {
    "type": str, "name": str, "description": str, "input_schema": dict, "strict": bool,
    "input_examples": list, "allowed_callers": list,
}  # fmt: skip
_INSIDE: Final = ("tool_result", "search_result")
_DEEPEST: Final = 3  # tool_result > document > image


def refuse(param: str, problem: str) -> NoReturn:
    """The caller's mistake, at its place."""
    raise CallError(f"{param}: {problem}", param=param)


def expect(value: Any, kinds: Kinds, param: str) -> None:
    """Refuses a value of another type; true and false are no numbers."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        refuse(param, f"must be {_WORDS[kinds]}")


def check_fields(value: Json, fields: Fields, param: str = "") -> None:
    """Refuses an object in which a field is there, is not null, and is of another type."""
    for name, given in value.items():  # what is there is mostly less than what may be
        kinds = fields.get(name)
        if kinds is not None and given is not None and (not isinstance(given, kinds) or isinstance(given, bool)):
            expect(given, kinds, f"{param}.{name}" if param else name)


def _check_blocks(blocks: list[Any], param: str, depth: int = 0) -> None:
    """Refuses a list of content blocks in which something is not what its type says."""
    for index, block in enumerate(blocks):
        check_block(block, f"{param}[{index}]", depth)


def check_block(block: Any, param: str, depth: int = 0) -> None:
    """Refuses a content block in which something is not what its type says."""
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        refuse(param, "must be a content block, an object with a `type`")
    kind = block["type"]
    for name, kinds in _REQUIRED.get(kind, _NOTHING).items():
        if isinstance(block.get(name), kinds):  # as it nearly always is: the place is put in words only when it is not
            continue
        if block.get(name) is None:
            refuse(f"{param}.{name}", "is missing")
        expect(block[name], kinds, f"{param}.{name}")
    if kind in _OPTIONAL:
        check_fields(block, _OPTIONAL[kind], param)
    if kind in ("image", "document"):
        _check_source(block["source"], f"{param}.source", depth)
    elif kind in _INSIDE or kind.endswith("_tool_result"):
        _check_content(block, param, depth)


def check_tool(tool: Any, param: str) -> None:
    """Refuses the declaration of a tool in which something is not what it must be."""
    expect(tool, dict, param)
    check_fields(tool, _TOOL_TYPES, param)
    if tool.get("type") in (None, "custom") and not tool.get("name"):
        refuse(f"{param}.name", "is missing")


def _check_content(block: Json, param: str, depth: int) -> None:
    """The blocks inside one. Results of server tools differ too much to be checked: their reader tolerates all."""
    if block["type"] not in _INSIDE:
        expect(block.get("tool_use_id"), str, f"{param}.tool_use_id")
    elif isinstance(block.get("content"), list):
        _go_deeper(block["content"], f"{param}.content", depth)


def _check_source(source: Json, param: str, depth: int) -> None:
    kind = source.get("type")
    expect(kind, str, f"{param}.type")
    for name, kinds in _SOURCES.get(str(kind), _NOTHING).items():
        expect(source.get(name), kinds, f"{param}.{name}")
    if kind == "content" and isinstance(source["content"], list):
        _go_deeper(source["content"], f"{param}.content", depth)


def _go_deeper(blocks: list[Any], param: str, depth: int) -> None:
    if depth == _DEEPEST:
        refuse(param, "is nested too deeply")
    _check_blocks(blocks, param, depth + 1)


_NOTHING: Final[Fields] = {}
