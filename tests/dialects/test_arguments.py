"""Arguments of tool calls, as servers and models really write them."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.dialects.arguments import clean_id, parse_arguments


def _values(integers: st.SearchStrategy[int]) -> st.SearchStrategy[object]:
    return st.recursive(
        st.none() | st.booleans() | integers | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )


_written = _values(st.integers()).map(json.dumps)
_read = _values(st.integers(-(2**63), 2**64 - 1))  # what orjson makes of a body


@pytest.mark.parametrize("absent", [None, "", " \n", "null", " null ", "{}", "{}{}", " {} \n {} ", {}])
def test_nothing_said_means_an_empty_object(absent: object) -> None:
    assert parse_arguments(absent) == ({}, True)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{"x":1}', {"x": 1}),
        ({"x": 1}, {"x": 1}),
        ('{}{"x":1}', {"x": 1}),
        ('{"x":1}\n{}', {"x": 1}),
        ('"{\\"x\\":1}"', {"x": 1}),
        ('"{}{\\"x\\":1}"', {"x": 1}),
        ('{"x":"a\nb\tc"}', {"x": "a\nb\tc"}),
        ('{"x":"\\ud83d"}', {"x": "?"}),
    ],
)
def test_the_object_that_was_meant_is_found(said: object, meant: object) -> None:
    assert parse_arguments(said) == (meant, True)


@pytest.mark.parametrize(
    "said",
    ["{bad", "[1]", "5", "true", '"ls -la"', '""', '{"x":1}{"y":2}', '{"x":1} and so on', '{"x":NaN}', "{" * 100_000],
)
def test_anything_else_is_kept_as_text_and_called_invalid(said: str) -> None:
    assert parse_arguments(said) == ({"_raw_arguments": said}, False)


@pytest.mark.parametrize("said", [[1, "é"], 5, False])
def test_a_value_that_is_no_text_is_kept_as_json(said: object) -> None:
    assert parse_arguments(said) == ({"_raw_arguments": json.dumps(said, ensure_ascii=False)}, False)


@pytest.mark.parametrize("depth", [250, 1000])
def test_an_object_too_deep_to_be_written_again_is_kept_as_text(depth: int) -> None:
    text = '{"a":' * depth + "1" + "}" * depth
    assert parse_arguments(text) == ({"_raw_arguments": text}, False)
    value, valid = parse_arguments(orjson.loads(text))
    assert not valid
    assert list(orjson.loads(orjson.dumps(value))) == ["_raw_arguments"]


@settings(deadline=None)
@given(st.text() | _read | _written)
def test_whatever_was_said_the_input_is_an_object_that_can_be_written(said: object) -> None:
    value, _ = parse_arguments(said)
    assert isinstance(orjson.loads(orjson.dumps(value)), dict)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53)))
def test_an_object_survives_its_text(value: dict[str, object]) -> None:
    assert parse_arguments(json.dumps(value)) == (value, True)


def test_an_id_is_cleaned_the_same_way_each_time() -> None:
    assert clean_id("functions.Bash:0") == clean_id("functions_Bash_0") == "functions_Bash_0"
