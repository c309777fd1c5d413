import copy
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.dialects.schemas import MAX_INLINED_DEPTH, inline_refs, openai_strict

STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def strict(**properties: Any) -> dict[str, Any]:
    return {**STRICT, "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    "schema",
    [
        strict(),
        STRICT,
        strict(a=STRICT, b={"type": ["string", "null"]}),
        strict(a={"anyOf": [{"type": "integer"}, STRICT]}),
        strict(a={"type": "array", "items": STRICT}),
        {**strict(a={"$ref": "#/$defs/A"}), "$defs": {"A": STRICT}},
        strict(oneOf={"type": "string"}),
        strict(a={"enum": ["x", "y"]}),
    ],
)
def test_closed_schemas_are_strict(schema: dict[str, Any]) -> None:
    assert openai_strict(schema)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {},
        {"type": "object"},
        {"type": "string"},
        {**STRICT, "additionalProperties": True},
        {**STRICT, "required": []},
        {**STRICT, "required": None},
        {**STRICT, "properties": []},
        {**STRICT, "anyOf": [STRICT]},
        strict(a={}),
        strict(a=None),
        strict(a={"type": "array"}),
        strict(a={"type": "array", "items": {"type": "object"}}),
        strict(a={"properties": {}}),
        strict(a={"oneOf": [STRICT]}),
        strict(a={"anyOf": [{"type": "object"}]}),
        strict(a={"anyOf": {}}),
        strict(a={"type": "string", "minLength": 1}),
        {**STRICT, "$defs": {"A": {"type": "object"}}},
        {**STRICT, "patternProperties": {}},
    ],
)
def test_open_or_doubtful_schemas_are_not_strict(schema: object) -> None:
    assert not openai_strict(schema)


def test_a_schema_deeper_than_openai_takes_is_not_strict() -> None:
    schema = strict()
    for _ in range(100_000):
        schema = strict(a=schema)
    assert not openai_strict(schema)


def test_references_are_replaced_by_what_they_point_to() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/A", "description": "mine"},
            "b": {"type": "array", "items": {"$ref": "#/definitions/b~1c"}},
            "c": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
        },
        "$defs": {"A": {"type": "object", "description": "its", "properties": {"x": {"$ref": "#/definitions/b~1c"}}}},
        "definitions": {"b/c": {"type": "integer"}},
    }
    inlined = {"type": "object", "description": "its", "properties": {"x": {"type": "integer"}}}
    assert inline_refs(schema) == {
        "type": "object",
        "properties": {
            "a": {**inlined, "description": "mine"},
            "b": {"type": "array", "items": {"type": "integer"}},
            "c": {"anyOf": [inlined, {"type": "null"}]},
        },
    }


def test_a_reference_into_itself_ends() -> None:
    schema = {
        "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
        "properties": {"list": {"$ref": "#/$defs/N"}, "me": {"$ref": "#"}},
    }
    assert inline_refs(schema) == {
        "properties": {"list": {"type": "object", "properties": {"next": {}}}, "me": {}},
    }


def test_a_reference_to_nowhere_or_elsewhere_says_anything_goes() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/No"}, "b": {"$ref": "https://e.com/s.json"}}}
    assert inline_refs(schema) == {"properties": {"a": {}, "b": {}}}


def test_data_and_names_that_look_like_references_stay() -> None:
    schema = {
        "$defs": {"A": {"type": "string"}},
        "properties": {
            "$ref": {"type": "string"},
            "default": {"$ref": "#/$defs/A"},
            "x": {"const": {"$ref": "#/$defs/A"}},
        },
    }
    assert inline_refs(schema) == {
        "properties": {
            "$ref": {"type": "string"},
            "default": {"type": "string"},
            "x": {"const": {"$ref": "#/$defs/A"}},
        }
    }


def test_definitions_that_double_at_each_step_stay_small() -> None:
    names = [f"d{n}" for n in range(40)]
    definitions: dict[str, Any] = {
        name: {"properties": {"l": {"$ref": f"#/$defs/{after}"}, "r": {"$ref": f"#/$defs/{after}"}}}
        for name, after in pairwise(names)
    }
    schema = {"$defs": {**definitions, "d39": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/d0"}}}
    assert len(orjson.dumps(inline_refs(schema))) < 1_000_000


def test_a_schema_deeper_than_the_stack_is_cut() -> None:
    schema: dict[str, Any] = {"$ref": "#/$defs/A"}
    for _ in range(100_000):
        schema = {"properties": {"a": schema}}
    inlined, depth = inline_refs(schema), 0
    while inlined:
        inlined, depth = inlined["properties"]["a"], depth + 1
    assert depth <= MAX_INLINED_DEPTH


schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, {"$ref": "#"}, None, 1, "x"]),
    lambda inner: st.dictionaries(
        st.sampled_from(["properties", "items", "anyOf", "a", "$defs", "$ref"]),
        inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        max_size=3,
    ),
    max_leaves=12,
)


@given(schemas, st.dictionaries(st.sampled_from(["A", "B"]), schemas, max_size=2))
def test_any_document_is_read_and_none_is_changed(schema: Any, definitions: Any) -> None:
    document = {**schema, "$defs": definitions} if isinstance(schema, dict) else schema
    before = copy.deepcopy(document)
    inline_refs(document)
    openai_strict(document)
    assert document == before
