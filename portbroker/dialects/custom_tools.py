"""Tools that take free text, where every tool takes an object: what they look like there, and the way back.

The one rule: the text is the value of the one field `input`.
"""

from typing import Any

import orjson

from portbroker.conversation import Json
from portbroker.dialects.reading import text_in

CUSTOM_SCHEMA: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""What a tool that takes free text looks like where every tool takes an object."""


def as_object(tool: Json, grammar: str) -> Json:
    """The tool as one that takes an object; its grammar, for which there is no field, in the description."""
    description = "\n\n".join(filter(None, (tool.get("description"), grammar)))
    return {**tool, **({"description": description} if description else {}), "input_schema": CUSTOM_SCHEMA}


def told_grammar(grammar: Json, path: str) -> str:
    """What a model is told of a grammar; `path` is its place."""
    syntax = text_in(grammar.get("syntax"), f"{path}.syntax")
    definition = text_in(grammar.get("definition"), f"{path}.definition")
    return f'The "input" string must match this {syntax} grammar:\n{definition}'


def free_text(arguments: Any) -> tuple[str, bool]:
    """What a custom tool is called with, and whether the model kept to the one field that it was given."""
    if isinstance(arguments, dict) and isinstance(told := arguments.get("input"), str):
        return told, len(arguments) == 1
    return (arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()), False


def told_text(raw: str, given: Any) -> tuple[str, bool]:
    """As `free_text`, of arguments that came in pieces (`raw`) or with the start of their call (`given`)."""
    try:
        return free_text(orjson.loads(raw) if raw else given)
    except orjson.JSONDecodeError:
        return raw, False  # cut short: what there is of it, as it is
