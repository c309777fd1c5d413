"""Patterns over requested models: what they match, what they take, and what they must not do."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.fieldmap.globs import compile_glob
from portbroker.patterns import MAX_NAME, Pattern, Rewrite, regex_fault

GLOBS = st.text("ab*?", max_size=8)
NAMES = st.text("ab", max_size=12)


@given(GLOBS, NAMES)
def test_a_pattern_matches_what_its_glob_does_and_takes_a_text_for_each_star(glob: str, name: str) -> None:
    found = Pattern(glob).match(name)
    assert (found is not None) == compile_glob(glob)(name)
    if found is not None:
        taken = iter(found.groups())
        rebuilt = "".join(next(taken) if character == "*" else character for character in glob)
        assert len(rebuilt) == len(name)
        assert all(a in ("?", b) for a, b in zip(rebuilt, name, strict=True))


@given(GLOBS, GLOBS, NAMES)
def test_a_pattern_that_covers_another_matches_all_of_its_names(earlier: str, later: str, name: str) -> None:
    if Pattern(earlier).covers(Pattern(later)) and Pattern(later).match(name):
        assert Pattern(earlier).match(name)


@pytest.mark.parametrize(
    ("pattern", "name", "text", "made"),
    [
        (Pattern("openai/*"), "openai/gpt-5", "{{ match[1] }}", "gpt-5"),
        (Pattern("*/*"), "a/b/c", "{{match[2]}} of {{ match[1] }}", "b/c of a"),
        (Pattern("gpt-*"), "gpt-5", "x-{{ match[0] }}", "x-gpt-5"),
        (Pattern("gpt-(4|5)(-mini)?", regex=True), "gpt-5", "o{{ match[1] }}{{ match[2] }}.", "o5."),
        (Pattern("a*"), "ab", "plain", "plain"),
    ],
)
def test_a_name_is_rewritten_with_what_the_pattern_took(pattern: Pattern, name: str, text: str, made: str) -> None:
    match = pattern.match(name)
    assert match is not None
    assert Rewrite(text)(match) == made


def test_what_a_name_holds_is_never_rewritten_again() -> None:
    match = Pattern("x/*").match("x/{{ match[0] }}")
    assert match is not None
    assert Rewrite("{{ match[1] }}")(match) == "{{ match[0] }}"


@pytest.mark.parametrize("text", ["(a+)+", "(a|a)*", "(?:a*){2,}", "(a?){20}a", "((a)|b)+", "(?P<x>a+)*", ".*.*.*.*"])
def test_an_expression_that_could_take_for_ever_is_refused(text: str) -> None:
    assert regex_fault(text)


@pytest.mark.parametrize("text", [r"gpt-(4|5).*", r"(?i)gpt.*", r"[(a+)+]*x", r"\(a+\)+", "(ab)?c", "(?:gpt|o)-[a-z]+"])
def test_an_expression_that_models_need_is_taken(text: str) -> None:
    assert regex_fault(text) is None


def test_an_expression_is_not_tried_on_a_name_that_is_no_name() -> None:
    assert Pattern(".*", regex=True).match("a" * MAX_NAME)
    assert Pattern(".*", regex=True).match("a" * (MAX_NAME + 1)) is None


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([".*a.*b.*c", "[a-z]*[a-c]*a+x", "(?:a|b).*b.*"]), st.sampled_from(["a", "ab", "abc"]))
def test_the_longest_name_is_matched_in_little_time(text: str, part: str) -> None:
    name = (part * MAX_NAME)[:MAX_NAME]
    assert regex_fault(text) is None
    began = time.process_time()
    Pattern(text, regex=True).match(name)
    assert time.process_time() - began < 1.0
