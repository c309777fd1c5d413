"""Anthropic's built-in tools that the client runs itself, as plain functions: no other provider knows them.

The one rule: the schemas are those that the clients of these tools expect as input.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from portbroker.conversation import Json

Function: TypeAlias = tuple[str, str, Json]
"""The tool's usual name, its description and the properties of its input, with those that are required."""


def client_tool(tool: Json) -> Json | None:
    """The function that stands for a built-in tool; None for one that the client does not run itself."""
    kind = str(tool["type"])
    for prefix, build in _BUILDERS.items():
        if kind.startswith(prefix) and not kind.startswith("computer_toolset_"):
            name, description, parameters = build(tool)
            return {"name": tool.get("name") or name, "description": description, "parameters": parameters}
    return None


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _line(description: str) -> Json:
    return {"type": "integer", "description": description}


def _bash(tool: Json) -> Function:
    # Nothing is required: a call holds either a command or restart.
    parameters = _object({"command": {"type": "string"}, "restart": {"type": "boolean"}})
    return "bash", "Run a command in a persistent bash session, or restart it.", parameters


def _text_editor(tool: Json) -> Function:
    commands = ["view", "create", "str_replace", "insert"]
    old = tool["type"] in ("text_editor_20241022", "text_editor_20250124")
    parameters = _object(
        {
            "command": {"type": "string", "enum": [*commands, *(["undo_edit"] if old else [])]},
            "path": _text("Absolute path to the file or directory."),
            "view_range": {**_LINES, "description": "For `view`: first and last line, from 1; -1 is the end."},
            "file_text": _text("For `create`: the whole text of the file."),
            "old_str": _text("For `str_replace`: the text to replace; it must occur exactly once."),
            "new_str": _text("For `str_replace`: the text to put there."),
            "insert_line": _line("For `insert`: the line after which the text goes, 0 for the beginning."),
            # The newest client reads insert_text, those before it new_str.
            "insert_text": _text("For `insert`: the text to insert."),
        },
        "command",
        "path",
    )
    if tool["type"] != "text_editor_20250728":
        parameters["properties"].pop("insert_text")
        parameters["properties"]["new_str"] = _text("For `str_replace` and `insert`: the text to put there.")
    name = "str_replace_editor" if old else "str_replace_based_edit_tool"
    return name, "View, create and edit text files.", parameters


def _memory(tool: Json) -> Function:
    commands = ["view", "create", "str_replace", "insert", "delete", "rename"]
    parameters = _object(
        {
            "command": {"type": "string", "enum": commands},
            "path": _text("Path of the file or directory, under /memories."),
            "view_range": {**_LINES, "description": "For `view`: first and last line, from 1."},
            "file_text": _text("For `create`: the whole text of the file."),
            "old_str": _text("For `str_replace`: the text to replace."),
            "new_str": _text("For `str_replace`: the text to put there."),
            "insert_line": _line("For `insert`: the line at which the text goes."),
            "insert_text": _text("For `insert`: the text to insert."),
            "old_path": _text("For `rename`: the present path."),
            "new_path": _text("For `rename`: the new path."),
        },
        "command",
    )
    return "memory", "Store and read files under /memories that outlive this conversation.", parameters


def _computer(tool: Json) -> Function:
    actions = list(_ACTIONS)
    if tool["type"] != "computer_20241022":
        actions += _LATER_ACTIONS
    if tool.get("enable_zoom"):
        actions.append("zoom")
    parameters = _object(
        {
            "action": {"type": "string", "enum": actions},
            "coordinate": {**_PAIR, "description": "x and y, in pixels from the top left corner."},
            "start_coordinate": {**_PAIR, "description": "For `left_click_drag`: where the drag begins."},
            "text": _text("For `type`: the text. For `key` and `hold_key`: the keys, such as ctrl+s."),
            "duration": {"type": "number", "description": "For `wait` and `hold_key`: seconds."},
            "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
            "scroll_amount": _line("For `scroll`: how many notches."),
            "region": {**_LINES, "description": "For `zoom`: x0, y0, x1, y1."},
        },
        "action",
    )
    return "computer", f"Control a computer with screen, mouse and keyboard.{_screen(tool)}", parameters


def _screen(tool: Json) -> str:
    width, height = tool.get("display_width_px"), tool.get("display_height_px")
    return f" The screen is {width} pixels wide and {height} pixels high." if width and height else ""


_LINES: Final[dict[str, Any]] = {"type": "array", "items": {"type": "integer"}}
_PAIR: Final[dict[str, Any]] = {**_LINES, "minItems": 2, "maxItems": 2}
_ACTIONS: Final = (
    "key", "type", "mouse_move", "left_click", "left_click_drag", "right_click", "middle_click", "double_click",
    "screenshot", "cursor_position",
)  # fmt: skip
_LATER_ACTIONS: Final = (
    "left_mouse_down", "left_mouse_up", "scroll", "hold_key", "wait", "triple_click",
)  # fmt: skip
_BUILDERS: Final[dict[str, Callable[[Json], Function]]] = {
    "bash_": _bash,
    "text_editor_": _text_editor,
    "memory_": _memory,
    "computer_": _computer,
}
