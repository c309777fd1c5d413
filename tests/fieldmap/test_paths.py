"""Paths: their grammar, and what each leads to."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.fieldmap.paths import compile_path, split_pair
from portbroker.fieldmap.segments import MISSING, PathError

DOCUMENT = {
    "a": {"b": [{"k": "v", "n": 1}, {"k": None}, {"n": 1}, 7]},
    "t": True,
    "base-resp": {"x y": 1},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b[0].k", ["v"]),
        ("a.b[-1]", [7]),
        ("a.b[9]", []),
        ("a.b[*].n", [1, 1]),
        ("a.b[?k].k", ["v", None]),
        ("a.b[?k=v].n", [1]),
        ("a.b[?n=1][0]", []),
        ("a.b[?k=null].k", [None]),
        ("a[*]", []),
        ("t[*]", []),
        ("t.x", []),
        ("base-resp", [{"x y": 1}]),
        ("a.b[?k=]", []),
    ],
)
def test_a_path_leads_to_these_values(path: str, found: list[Any]) -> None:
    compiled = compile_path(path)
    assert compiled.all(DOCUMENT) == found
    assert compiled.get(DOCUMENT) == (found[0] if found else MISSING)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a path is text"),
        (None, "a path is text"),
        ("a..b", "a key is missing at position 3"),
        (".a", "a key is missing at position 1"),
        ("a.", "a key is missing at position 3"),
        ("[0]", "a key is missing"),
        ("a[x]", "is no selector"),
        ("a[-2]", "is no selector"),
        ("a[0", "is no selector"),
        ("a]b", "is no selector"),
        ("a[?]", "is no selector"),
        ("a[*]b", "is no selector"),
        ("a[1e3]", "is no selector"),
        ("a b", "is no selector"),
        ("$ref", r"keys that start with \$ are reserved"),
    ],
)
def test_what_is_no_path_says_why(text: Any, fault: str) -> None:
    with pytest.raises(PathError, match=fault):
        compile_path(text)


@settings(deadline=None)
@given(st.text(alphabet="ab.[]*?=-0$ \u2028", max_size=12))
def test_any_text_is_a_path_or_a_path_error(text: str) -> None:
    try:
        path = compile_path(text)
    except PathError:
        return
    assert path.text == text
    path.all({"a": [{"a": 1}], "b": {"a": []}})
    path.delete({"a": [{"a": 1}], "b": {"a": []}})


def test_set_makes_missing_objects_but_no_list_elements() -> None:
    assert compile_path("a.b.c").set({}, 1) == {"a": {"b": {"c": 1}}}
    assert compile_path("a[0].c").set({}, 1) == {}
    assert compile_path("a[*].c").set({"a": []}, 1) == {"a": []}
    assert compile_path("a.b").set({"a": "text"}, 1) == {"a": "text"}


def test_pairs_go_through_the_last_element_that_both_share() -> None:
    prefix, source, to = split_pair(compile_path("a[*].b[?t].x"), compile_path("a[*].b[?t].y.z"))
    assert prefix is not None
    assert [len(p.segments) for p in (prefix, source, to)] == [4, 1, 2]
    assert split_pair(compile_path("a[0].x"), compile_path("a[0].y"))[0] is None


def test_several_places_of_different_lists_do_not_pair() -> None:
    with pytest.raises(PathError, match="do not pair up"):
        split_pair(compile_path("a[*].x"), compile_path("b[*].x"))
