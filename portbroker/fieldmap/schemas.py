"""JSON Schemas made to fit a provider that knows only part of the language.

The one rule: a property's name and an example's data are not keywords, whatever they are called.
"""

from collections.abc import Callable
from typing import Any, Final

from portbroker.conversation import Json
from portbroker.dialects.schemas import inline_refs

MAX_DEPTH: Final = 200
"""How deep schemas are rewritten; what is nested deeper stays as it is."""

_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_DATA: Final = frozenset({"const", "enum", "default", "example", "examples"})

_UNKNOWN_TO_GEMINI: Final = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "exclusiveMinimum", "exclusiveMaximum",
    "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "if", "then", "else", "not",
    "dependentRequired", "dependentSchemas", "contains", "const", "examples", "readOnly", "writeOnly", "deprecated",
})  # fmt: skip
_GEMINI_FORMATS: Final = frozenset({"enum", "date-time"})


def strip_keys(node: Any, names: frozenset[str]) -> Any:
    """The document without these keywords at any depth."""

    def strip(schema: Json) -> Json:
        if names.isdisjoint(schema):
            return schema
        return {key: value for key, value in schema.items() if key not in names}

    return _rewrite(node, strip)


def gemini(schema: Any) -> Any:
    """The schema in the words that Google's OpenAI-compatible endpoint takes; references are inlined first."""
    return _rewrite(inline_refs(schema), _gemini_node)


def _gemini_node(schema: Json) -> Json:
    changed = {key: value for key, value in schema.items() if key not in _UNKNOWN_TO_GEMINI}
    if isinstance(schema.get("const"), str) and "enum" not in schema:
        changed["enum"] = [schema["const"]]
    if "format" in changed and changed["format"] not in _GEMINI_FORMATS:
        del changed["format"]
    if isinstance(changed.get("type"), list):
        changed |= _one_type(changed.pop("type"), "anyOf" in changed)
    return schema if _same_members(changed, schema) else changed


def _same_members(a: Json, b: Json) -> bool:
    """Whether two schemas hold the very same values; unlike `==` this looks no deeper."""
    return a.keys() == b.keys() and all(a[key] is b[key] for key in a)


def _one_type(types: list[Any], has_union: bool) -> Json:
    """A list of types as one type that may be null, or as a union."""
    real = [kind for kind in types if kind != "null"]
    nullable = {"nullable": True} if len(real) < len(types) else {}
    if len(real) == 1:
        return {"type": real[0], **nullable}
    return nullable if has_union or not real else {"anyOf": [{"type": kind} for kind in real], **nullable}


def _rewrite(node: Any, change: Callable[[Json], Json], named: bool = False, depth: int = 0) -> Any:
    """Every schema in a document changed, from the outside in; the same object where nothing is."""
    if depth > MAX_DEPTH:
        return node
    if isinstance(node, list):
        items = [_rewrite(item, change, False, depth + 1) for item in node]
        return items if any(new is not old for new, old in zip(items, node, strict=True)) else node
    if not isinstance(node, dict):
        return node
    schema = node if named else change(node)
    inner = {
        key: value if not named and key in _DATA else _rewrite(value, change, not named and key in _NAMED, depth + 1)
        for key, value in schema.items()
    }
    return schema if all(inner[key] is schema[key] for key in schema) else inner
