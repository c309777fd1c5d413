"""Tables of the file's keys and of the grammar of rules, read off the JSON Schema.

The one rule: the words are those that editors show; to change them, change the models.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson

from portbroker.config import reliability
from portbroker.config.grammar import DEFINITIONS, OPERATIONS
from portbroker.config.schema import schema
from portbroker.fieldmap.functions import FUNCTIONS
from tests.generated.regions import table

Schema = dict[str, Any]

SCHEMA = schema()
_EXPECTATION = {**SCHEMA["$defs"]["TestConfig"]["properties"]["expect"], "title": "Expectation"}
SECTIONS: dict[str, Schema] = {"Config": SCHEMA, **SCHEMA["$defs"], "Expectation": _EXPECTATION}
GRAMMAR = {"Rule": "rules", "When": "conditions", "Condition": "conditions"}
"""Definitions that `docs/field-maps.md` explains, with the heading."""

_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`",
          "object": "mapping"}  # fmt: skip
_LONGEST = 60


def _keys(section: str) -> str:
    """A section's keys: type, default, meaning and an example of each."""
    part = SECTIONS[section]
    required = set(part.get("required", ()))
    return table(
        ("key", "type", "default", "meaning"),
        [
            (f"`{name}`", kind(key), "required" if name in required else _default(key), _meaning(key))
            for name, key in part["properties"].items()
        ],
    )


def kind(part: Schema) -> str:
    """What a value of this schema is, in words."""
    return " or ".join(dict.fromkeys(_kinds(part))) or "anything"


def _kinds(part: Schema) -> Iterator[str]:
    if "$ref" in part:
        yield _link(part["$ref"].rpartition("/")[2])
    elif "anyOf" in part:
        for choice in part["anyOf"]:
            yield from _kinds(choice)
    elif "enum" in part:
        yield ", ".join(f"`{value}`" for value in part["enum"] if value is not None)
    else:
        types = part.get("type", [])
        for one in [types] if isinstance(types, str) else types:
            if one != "null":
                yield _one(one, part)


def _one(name: str, part: Schema) -> str:
    if name == "array":
        return f"list of {kind(part.get('items', {}))}"
    if name == "object" and isinstance(part.get("additionalProperties"), dict):
        return f"mapping of names to {kind(part['additionalProperties'])}"
    if name == "string" and "patternErrorMessage" in part:
        return _of_pattern(part["patternErrorMessage"])
    low, high = part.get("minimum"), part.get("maximum")
    bounds = f" {low:,} to {high:,}" if low is not None and high is not None else ""
    return _PLAIN[name] + (bounds or (f", {low:,} or more" if low else ""))


def _of_pattern(message: str) -> str:
    """The kinds of text that have a pattern, by what is said when it does not hold."""
    for word, shown in (("duration", "duration (`500ms`, `5s`, `2m`, `1h`)"), ("URL", "URL"), ("path", "path")):
        if word in message:
            return shown
    return _PLAIN["string"]


def _link(name: str) -> str:
    title = SECTIONS[name]["title"].lower()
    page = "reliability.md" if hasattr(reliability, name) else ""
    place = f"field-maps.md#{GRAMMAR[name]}" if name in GRAMMAR else f"{page}#{title.replace(' ', '-')}"
    return f"[{title}]({place})"


def _default(part: Schema) -> str:
    value = part.get("default")
    if value in (None, [], {}, ""):
        return ""
    shown = _json(value)
    return f"`{shown}`" if len(shown) <= _LONGEST else "see below"


def _meaning(part: Schema) -> str:
    text: str = part.get("description", "")
    examples = [_json(example) for example in part.get("examples", ())]
    shown = [f"`{example}`" for example in examples if len(example) <= _LONGEST]
    return f"{text} For example {' or '.join(shown)}." if shown else text


def _json(value: Any) -> str:
    return value if isinstance(value, str) and value else orjson.dumps(value).decode().replace('":', '": ')


def _operations() -> str:
    rows = [(f"`{name}`", part["description"], _arguments(part)) for name, part in OPERATIONS.items()]
    return table(("operation", "does", "takes"), rows)


def _arguments(part: Schema) -> str:
    if "properties" not in part:
        return kind(part) if part.get("type") != "object" else "mapping of paths to values"
    required = set(part.get("required", ()))
    return "; ".join(
        f"`{name}`{'' if name in required else ' (optional)'}: {argument.get('description', kind(argument))}".rstrip(
            "."
        )
        for name, argument in part["properties"].items()
    )


def _conditions() -> str:
    comparisons = DEFINITIONS["Condition"]["anyOf"][1]["properties"]
    rows = [(f"`{name}`", kind(part), part["description"]) for name, part in comparisons.items()]
    return table(("comparison", "takes", "holds for"), rows)


def _functions() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{path}`" for path in function.paths), f"`{function.code}`")
        for name, function in FUNCTIONS.items()
    ]
    return table(("function", "works on, unless `path` says otherwise", "reported as"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{f"keys of {name}": partial(_keys, name) for name in SECTIONS if "properties" in SECTIONS[name]},
    "operations": _operations,
    "comparisons": _conditions,
    "functions": _functions,
}
