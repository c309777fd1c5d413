"""Whatever a user has in a settings file: our value goes in, nothing else changes, and it comes out again."""

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.connect.json_text import JsonText
from portbroker.connect.texts import Kind, TextError, drop, found, put
from portbroker.connect.toml_text import TomlText
from portbroker.connect.yaml_text import YamlText

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=4)


def goes_in_and_out(kind: Kind, text: str, path: tuple[str, ...], value: str) -> None:
    before = kind.read(text)
    there = kind.source(text, path)
    edited = put(kind, text, path, kind.write(value))
    assert found(kind.read(edited), path) == value
    if there is not None:
        assert put(kind, edited, path, there) == text
        return
    made = [path[:depth] for depth in range(len(path) - 1, 0, -1) if found(before, path[:depth]) is None]
    back = drop(kind, edited, path)
    for each in made:
        if found(kind.read(back), each) == {}:
            back = drop(kind, back, each)
    assert kind.read(back) == before
    if text.strip():
        assert back.replace("{}", "").split() == text.replace("{}", "").split()


@settings(max_examples=50)
@given(OBJECTS, st.sampled_from([None, 1, 2, 4, "\t"]), st.sampled_from(["\n", "\r\n"]), WORDS)
def test_json_of_any_shape(values: dict[str, Any], indent: int | str | None, newline: str, value: str) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False).replace("\n", newline)
    for path in (("env", "KEY"), ("model",), *([(next(iter(values)),)] if values else [])):
        try:
            goes_in_and_out(JsonText(), text, path, value)
        except TextError:
            assert not isinstance(values.get(path[0], {}), dict)  # there is no place for it


@settings(max_examples=30)  # PyYAML takes its time
@given(st.dictionaries(WORDS.filter(bool), VALUES, max_size=4), WORDS)
def test_yaml_as_it_is_dumped(values: dict[str, Any], value: str) -> None:
    text = yaml.safe_dump(values, default_flow_style=False, allow_unicode=True) if values else ""
    goes_in_and_out(YamlText(), text, ("model",), value)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)
PLAIN = st.booleans() | st.integers(-(10**9), 10**9) | WORDS | st.lists(WORDS | st.just("[x] # {"), max_size=3)


@settings(max_examples=40)
@given(
    st.dictionaries(NAMES, PLAIN, max_size=3),
    st.dictionaries(NAMES.map("t_{}".format), st.dictionaries(NAMES, PLAIN, max_size=3), max_size=3),
    st.sampled_from(["", " # [x] = \"y\"", "\n# mine"]),
    st.sampled_from(["\n", "\r\n"]),
    WORDS,
)  # fmt: skip
def test_toml_of_keys_and_tables(
    top: dict[str, Any], tables: dict[str, dict[str, Any]], remark: str, newline: str, value: str
) -> None:
    lines = [f"{key} = {json.dumps(each, ensure_ascii=False)}{remark}" for key, each in top.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]{remark}"]
        lines += [f"{key} = {json.dumps(each, ensure_ascii=False)}{remark}" for key, each in table.items()]
    text = "".join(f"{line}\n" for line in lines).replace("\n", newline)
    for path in (("model",), ("model_providers", "portbroker", "name"), *[(name, "model") for name in tables]):
        goes_in_and_out(TomlText(), text, path, value)


@pytest.mark.parametrize("kind", [JsonText(), JsonText(lenient=True), TomlText(), YamlText()])
@given(st.text(max_size=60))
def test_any_text_at_all_is_read_or_refused(kind: Kind, text: str) -> None:
    with contextlib.suppress(TextError):
        goes_in_and_out(kind, text, ("a", "b") if isinstance(kind, JsonText | TomlText) else ("a",), "x")
