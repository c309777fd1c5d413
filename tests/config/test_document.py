"""YAML 1.2 as plain data, within bounds."""

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config.document import MAX_DEPTH, parse
from portbroker.config.syntax import Fault


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("", None),
        ("12", 12),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o14", 12),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("-a", "-a"),
        ("+", "+"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'5'", "5"),
        ('"no"', "no"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!!int '5'", 5),
    ],
)
def test_a_plain_word_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    data = parse(f"a: {text}\n").data["a"]
    assert data == value
    assert type(data) is type(value)


def test_keys_are_text() -> None:
    assert parse("1: a\nno: b\ntrue: c\n~: d\n'': e\n").data == {"1": "a", "no": "b", "true": "c", "~": "d", "": "e"}


def test_aliases_and_merges_give_what_they_stand_for() -> None:
    data = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {y: 0, <<: [{x: 4}, *a]}\nd: [*a, *a]\n'<<': 1\n").data
    assert data["b"] == {"x": 3, "y": 2}
    assert data["c"] == {"y": 0, "x": 4}
    assert data["d"] == [data["a"], data["a"]]
    assert data["<<"] == 1


def test_every_place_is_known_also_below_an_alias() -> None:
    document = parse("base: &b\n  host: a\nother:\n  - *b\n  - {host: c,\n     port: 1}\n")
    assert document.place(("base",)) == (1, 1)
    assert document.place(("base", "host")) == (2, 9)
    assert document.place(("other", 0)) == (4, 5)
    assert document.place(("other", 0, "host")) == (2, 9)
    assert document.place(("other", 1, "port"), key=True) == (6, 6)
    assert document.place(("other", 7, "port")) == (3, 1)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    from portbroker.config.source import text_of

    assert parse(text_of("\ufeffa: 1\n".encode())).data == {"a": 1}


ALIAS_BOMB = "x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"x{i}: &x{i} [{','.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 30)
)
MERGE_BOMB = (
    "m0: &m0 {"
    + ",".join(f"k{i}: 1" for i in range(100))
    + "}\n"
    + "".join(f"m{i}: &m{i} {{<<: [{','.join([f'*m{i - 1}'] * 100)}]}}\n" for i in range(1, 30))
)
DEEP_BY_ALIAS = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 30_000, "nested more than"),
        ("[" * 1_000_000, "nested more than"),
        ("{a: " * 30_000, "nested more than"),
        ("- " * 500_000, "nested more than"),
        ("? " * 500_000, "cannot be a key"),
        (DEEP_BY_ALIAS, "nested more than"),
        (ALIAS_BOMB, "more than 200000 values"),
        (MERGE_BOMB, "more than 200000 values"),
        ("a: [" + "1," * 300_000 + "]", "more than 200000 values"),
        ("&a [*a]", "inside the value that it repeats"),
        ("&a {b: {c: *a}}", "inside the value that it repeats"),
        ("'" * 3_000_001, "never closed"),
        ("a: " + "9" * 4_000_000, ""),
        ("\n" * 4_000_000, "empty"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_no_text_takes_much_time_or_memory(text: str, message: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        faults = parse(text).faults
    except Fault as fault:
        faults = (fault,)
    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message in faults[0].message
    assert seconds < 10  # tracing slows it down; without, the slowest takes 0.7 s
    assert peak < 200 * 1024 * 1024


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH).data


def fault_of(text: str) -> Fault | None:
    try:
        parse(text)
    except Fault as fault:
        return fault
    return None


@given(st.text(alphabet=" \n\t-:?[]{}&*!|>'\"%@`#,ab01~.<", max_size=60))
def test_any_text_is_read_or_refused_at_a_place(text: str) -> None:
    fault = fault_of(text)
    if fault is not None:
        assert fault.message != "this is not YAML"
        assert fault.line <= text.count("\n") + 2


_text = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_is_read_as_what_it_is(value: Any) -> None:
    import json

    assert parse(json.dumps({"a": value}, ensure_ascii=False)).data == {"a": value}
