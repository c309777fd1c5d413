"""The grammar of field-map rules as JSON Schema, so that an editor completes them and a wrong one has a place.

The one rule: it says what a rule looks like; what a path or a function means is the compiler's affair.
"""

from typing import Any

Schema = dict[str, Any]

FUNCTIONS = (
    "schema.inline_refs", "schema.openai_strict", "schema.gemini", "ids.pattern", "text.flatten", "think_tags.split",
    "base64.fetch_image",
)  # fmt: skip
TYPES = ("string", "number", "integer", "boolean", "null", "object", "array")


def _text(description: str, *examples: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description, "examples": list(examples)}


def _record(title: str, description: str, required: tuple[str, ...], /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "title": title,
        "description": description,
        "additionalProperties": False,
        "required": list(required),
        "properties": {name.rstrip("_"): schema for name, schema in properties.items()},
    }


def _path(description: str = "The place.", *examples: str) -> Schema:
    return _text(description, *(examples or ("choices[*].finish_reason",)))


def _switch(description: str) -> Schema:
    return {"type": "boolean", "default": False, "description": description}


_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_BOUND: Schema = {
    "anyOf": [
        _NUMBER,
        {
            "type": "string",
            "pattern": r"^ctx\.options\.",
            "patternErrorMessage": "must be a number, or the name of an option such as ctx.options.stop_max",
        },
    ]
}
_TEXTS: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}}
_KEEP = _switch("Leave `to` alone where there is something already.")


def _transfer(title: str, description: str) -> Schema:
    return _record(
        title, description, ("from", "to"),
        from_=_path("Where it is.", "seed"), to=_path("Where it goes.", "random_seed"), keep_existing=_KEEP,
    )  # fmt: skip


OPERATIONS: dict[str, Schema] = {
    "move": _transfer("Move", "Move a value to another place. Nothing happens where it is absent."),
    "copy": _transfer("Copy", "Copy a value to another place. Nothing happens where it is absent."),
    "set": {
        "type": "object", "title": "Set", "minProperties": 1,
        "description": "Set values, by path, whatever was there.", "examples": [{"reasoning_effort": "none"}],
    },
    "default": {
        "type": "object", "title": "Default", "minProperties": 1,
        "description": "Set values, by path, only where there are none.", "examples": [{"reasoning_split": True}],
    },
    "drop": {
        "title": "Drop", "description": "Take values out.", "examples": ["seed", ["user", "messages[*].name"]],
        "anyOf": [{"type": "string", "minLength": 1}, {**_TEXTS, "minItems": 1}],
    },
    "clamp": _record(
        "Clamp", "Keep a number within bounds.", ("path",),
        path=_path("The number.", "temperature"),
        min={**_BOUND, "description": "The least."}, max={**_BOUND, "description": "The most."},
    ),
    "map": _record(
        "Map", "Replace some values by others.", ("path", "values"),
        path=_path("The value."),
        values={
            "type": "object", "minProperties": 1, "examples": [{"model_length": "length", "_else": "$drop"}],
            "description": "Old value to new one. `_else` is for all others; the value `$drop` takes it out.",
        },
    ),
    "limit": _record(
        "Limit", "Cut a list or a text to a length.", ("path", "max"),
        path=_path("The list or text.", "stop"), max={**_BOUND, "description": "Items, or characters, that stay."},
    ),
    "hash": _record(
        "Hash", "Replace a text by its SHA-256, in hexadecimal digits.", ("path",),
        path=_path("The text.", "user"),
        longer_than={**_COUNT, "description": "Only where the text is longer than this."},
        length={"type": "integer", "minimum": 1, "maximum": 64, "description": "How many digits to keep."},
    ),
    "template": _record(
        "Template", "Write a text made of other values.", ("to", "text"),
        to=_path("Where it goes.", "metadata.origin"),
        text={
            "type": "string", "description": "`${path}` reads the document, `${ctx.name}` the call.",
            "examples": ["${ctx.provider}/${ctx.model}"],
        },
    ),
    "keep_only": {
        **_TEXTS, "title": "Keep only", "examples": [["model", "messages", "stream"]],
        "description": "Take every other key of the whole document out.",
    },
    "strip_keys": _record(
        "Strip keys", "Take keys out, at every depth: for JSON Schemas.", ("path", "keys"),
        path=_path("Where to begin.", "tools[*].function.parameters"),
        keys={**_TEXTS, "minItems": 1, "description": "The keys.", "examples": [["$schema", "patternProperties"]]},
    ),
    "call": _record(
        "Call", "Call one of the functions that come with PortBroker.", ("fn",),
        fn={"enum": list(FUNCTIONS), "description": "Which."},
        path=_path("What it works on.", "tools[*].function.parameters"),
        args={"type": "object", "description": "What it takes besides."},
    ),
}  # fmt: skip
"""What a rule can do, by name."""

_COMPARISONS: Schema = {
    "type": "object",
    "title": "Comparison",
    "description": "All that is given must hold.",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "exists": {"type": "boolean", "description": "Whether there is a value at all."},
        "in": {"type": "array", "description": "One of these."},
        "not_in": {"type": "array", "description": "None of these; an absent value is none of them."},
        "glob": {
            "anyOf": [{"type": "string"}, _TEXTS], "description": "A pattern with * and ?, or several.",
            "examples": ["gpt-5*"],
        },
        "gt": {**_NUMBER, "description": "Greater than."},
        "lt": {**_NUMBER, "description": "Less than."},
        "longer_than": {**_NUMBER, "description": "A text of more characters, or a list of more items."},
        "type": {"enum": list(TYPES), "description": "The JSON type."},
    },
}  # fmt: skip

DEFINITIONS: dict[str, Schema] = {
    "When": {
        "type": "object",
        "title": "When",
        "description": "Conditions, by path into the document or `ctx.` name (model, requested_model, client, stream, "
        "provider, route). All must hold; `any` holds when one of its members does.",
        "properties": {"any": {"type": "array", "items": {"$ref": "#/$defs/When"}, "minItems": 1}},
        "additionalProperties": {"$ref": "#/$defs/Condition"},
        "examples": [{"tools": {"exists": True}}, {"ctx.model": {"glob": "gpt-5*"}}],
    },
    "Condition": {
        "title": "Condition",
        "description": "A value to be equal to, or comparisons.",
        "anyOf": [{"type": ["string", "number", "boolean", "null"]}, _COMPARISONS],
    },
    "Rule": {
        "type": "object",
        "title": "Rule",
        "description": "One change of the document, by exactly one operation.",
        "additionalProperties": False,
        "properties": {
            "id": _text("A name, so that a translation which extends this one can replace or disable the rule."),
            "disable": _switch("Take the inherited rule of this `id` away."),
            "when": {"$ref": "#/$defs/When"},
            "report": _switch("Tell the client in `x-portbroker-adaptations` when the rule changed something."),
            **OPERATIONS,
        },
        "oneOf": [
            *({"required": [name]} for name in OPERATIONS),
            {
                "required": ["id", "disable"],
                "properties": {"disable": {"const": True}, **dict.fromkeys(OPERATIONS, False)},
            },
        ],
    },
}
