"""Globs: what they match, and that no text can make them slow."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.fieldmap.globs import compile_glob, literal_length


def matches(glob: str, text: str) -> bool:
    """The meaning of a glob, letter by letter."""
    if not glob:
        return not text
    if glob[0] == "*":
        return matches(glob[1:], text) or (bool(text) and matches(glob, text[1:]))
    return bool(text) and glob[0] in ("?", text[0]) and matches(glob[1:], text[1:])


@settings(deadline=None)
@given(st.text(alphabet="ab*?[.\n", max_size=8), st.text(alphabet="ab[.\n", max_size=8))
def test_a_glob_matches_what_it_means(glob: str, text: str) -> None:
    assert compile_glob(glob)(text) == matches(glob, text)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab*", max_size=4), max_size=3), st.text(alphabet="ab", max_size=4))
def test_several_globs_match_what_any_of_them_does(globs: list[str], text: str) -> None:
    assert compile_glob(globs)(text) == any(matches(glob, text) for glob in globs)


def test_matching_takes_time_in_proportion_to_the_text() -> None:
    glob = compile_glob("*a*a*a*a*a*a*a*a*b*c")
    start = time.process_time()
    assert not glob("a" * 200_000)
    assert time.process_time() - start < 1


def test_literal_text_is_all_but_the_wildcards() -> None:
    assert literal_length("gpt-5?*") == 5
