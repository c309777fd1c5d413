"""Members replaced in the bytes of a body: the document changes there and nowhere else."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.dialects.splice import member_spans, with_member, with_model

_keys = st.sampled_from(["model", "a", "stream", "mo\\del", '"model"', "modèl", ""]) | st.text(max_size=3)
_texts = st.text(max_size=8) | st.sampled_from(
    ['"model": "x"', '"model":', '\\"model\\":"', "\\", '"', "}{][", "model"]
)
_scalars = (
    st.none() | st.booleans() | st.integers(-9, 10**12) | st.floats(allow_nan=False, allow_infinity=False) | _texts
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=12
)
_space = st.sampled_from(["", " ", "\n", "\t\r\n "])


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, int, int]:
    """The text of an object with one or more models at the top, and where the last of them stands."""
    members = [(draw(_keys.filter(lambda key: key != "model")), draw(_values)) for _ in range(draw(st.integers(0, 4)))]
    place = draw(st.integers(0, len(members)))
    members.insert(place, ("model", draw(_texts | _values)))
    ascii_only = draw(st.booleans())
    text, span = draw(_space) + "{", (0, 0)
    for index, (key, value) in enumerate(members):
        text += ("," if index else "") + draw(_space)
        text += draw(_spellings(key)) + draw(_space) + ":" + draw(_space)
        start = len(text)
        text += _spaced(json.dumps(value, ensure_ascii=ascii_only), draw(st.booleans()))
        span = (start, len(text)) if index == place else span
        text += draw(_space)
    return text + "}" + draw(_space), *span


def _spellings(key: str) -> st.SearchStrategy[str]:
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in key)
    return st.sampled_from([json.dumps(key), f'"{escaped}"'])


def _spaced(text: str, wide: bool) -> str:
    return json.dumps(json.loads(text), indent=1) if wide else text


@settings(deadline=None)
@given(_documents(), _texts)
def test_only_the_model_changes_and_every_other_byte_stays(document: tuple[str, int, int], model: str) -> None:
    text, start, end = document
    raw, body = text.encode(), orjson.loads(text)
    changed = with_model(raw, body, model)
    assert orjson.loads(changed) == {**body, "model": model}
    assert changed == text[:start].encode() + orjson.dumps(model) + text[end:].encode()


@settings(deadline=None)
@given(_documents())
def test_a_body_that_asks_for_the_model_already_is_the_same_object(document: tuple[str, int, int]) -> None:
    text, start, end = document
    raw = (text[:start] + '"m"' + text[end:]).encode()
    assert with_model(raw, orjson.loads(raw), "m") is raw


@settings(deadline=None)
@given(_documents(), _keys, _values)
def test_any_member_can_be_set(document: tuple[str, int, int], key: str, value: Any) -> None:
    raw = document[0].encode()
    body = orjson.loads(raw)
    assert orjson.loads(with_member(raw, body, key, value)) == {**body, key: value}


def test_every_repetition_of_a_key_gets_the_value() -> None:
    raw = rb'{"model":"cheap", "x":{"model":"inner"}, "\u006dodel" : {"a":[1]} ,"model":"dear"}'
    changed = with_model(raw, orjson.loads(raw), "m")
    assert changed == rb'{"model":"m", "x":{"model":"inner"}, "\u006dodel" : "m" ,"model":"m"}'


def test_a_repeated_key_is_found_although_the_last_one_asks_for_the_model_already() -> None:
    raw = b'{"model":"dear","model":"m"}'
    assert with_model(raw, orjson.loads(raw), "m") == b'{"model":"m","model":"m"}'


@pytest.mark.parametrize(("raw", "changed"), [(b" { } ", b' {"model":"m" } '), (b'{"a":1}', b'{"model":"m","a":1}')])
def test_a_missing_model_is_put_in_front(raw: bytes, changed: bytes) -> None:
    assert with_model(raw, orjson.loads(raw), "m") == changed


def test_a_deep_document_is_walked_without_recursion() -> None:
    raw = b'{"a":' + b"[" * 900 + b"]" * 900 + b',"b":[{"model":"x"},{"model":"y"}],"model":null}'
    ((start, end),) = member_spans(raw, "model")
    assert raw[start:end] == b"null"
