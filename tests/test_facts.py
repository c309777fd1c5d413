"""Facts of calls: what each word sees in each dialect, and that no body makes one fail."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config.call_words import WORDS
from portbroker.facts import Facts, reader
from portbroker.fieldmap.segments import MISSING
from tests.calls import asking

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}


def user(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def see(word: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    read = reader(word)
    assert read is not None
    return read(asking("m", body, headers))


@pytest.mark.parametrize(
    ("word", "body", "value"),
    [
        ("max_tokens", {"max_tokens": 5}, 5),
        ("max_tokens", {"max_completion_tokens": 6}, 6),
        ("max_tokens", {"max_output_tokens": 7}, 7),
        ("max_tokens", {"max_tokens": "5"}, MISSING),
        ("max_tokens", {}, MISSING),
        ("stream", {"stream": True}, True),
        ("stream", {}, False),
        ("client", {}, "anthropic.messages"),
        ("has_images", user({"type": "text", "text": "image"}), False),
        ("has_images", user(IMAGE), True),
        ("has_images", user({"type": "image_url", "image_url": {"url": "https://a/b"}}), True),
        ("has_images", user({"type": "tool_result", "content": [IMAGE]}), True),
        ("has_images", user({"type": "tool_use", "input": {"type": "image"}}), False),
        ("has_images", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, True),
        ("has_images", {"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]}, True),
        ("has_images", {"tools": [{"input_schema": {"type": "image"}}]}, False),
        ("has_tools", {"tools": [{}]}, True),
        ("has_tools", {"functions": [{}]}, True),
        ("has_tools", {"tools": []}, False),
        ("has_web_search", {"tools": [{"type": "web_search_20250305"}]}, True),
        ("has_web_search", {"tools": [{"type": "web_search_preview"}]}, True),
        ("has_web_search", {"web_search_options": {}}, True),
        ("has_web_search", {"tools": [{"type": "function", "name": "web_search"}]}, False),
        ("thinking", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        ("thinking", {"thinking": {"type": "adaptive"}}, True),
        ("thinking", {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, False),
        ("thinking", {"output_config": {"effort": "high"}}, True),
        ("thinking", {"reasoning_effort": "low"}, True),
        ("thinking", {"reasoning_effort": "none"}, False),
        ("thinking", {"reasoning": {"effort": "medium"}}, True),
        ("thinking", {"reasoning": {"effort": "none"}}, False),
        ("thinking", {"reasoning": {"enabled": True}}, True),
        ("thinking", {"enable_thinking": False, "reasoning_effort": "low"}, False),
        ("thinking", {}, False),
        ("metadata.user_id", {"metadata": {"user_id": "u"}}, "u"),
        ("metadata.user_id", {"user": "u"}, "u"),
        ("metadata.team", {"metadata": {"team": "t"}}, "t"),
        ("metadata.team", {"metadata": "t"}, MISSING),
        ("metadata.team", {"user": "u"}, MISSING),
    ],
)
def test_a_word_sees_its_fact(word: str, body: dict[str, Any], value: Any) -> None:
    seen = see(word, body)
    assert seen is value or (type(seen) is type(value) and seen == value)


def test_a_long_prompt_has_many_tokens() -> None:
    assert (
        see("input_tokens", user({"type": "text", "text": "word " * 60_000})) > 60_000 > 100 > see("input_tokens", {})
    )


def test_a_header_is_seen_by_any_case_of_its_name() -> None:
    assert see("header.X-Team", {}, {"x-team": "research"}) == "research"
    assert see("header.x-team", {}) is MISSING


@pytest.mark.parametrize("word", ["input_token", "header.", "header", "keys", "metadata", "messages[0]"])
def test_what_is_no_word_sees_nothing(word: str) -> None:
    assert reader(word) is None


KEYS = st.sampled_from(
    ["type", "content", "role", "input", "output", "messages", "tools", "text", "effort", "enabled", "user_id"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
BODIES = st.dictionaries(
    st.sampled_from(
        ["messages", "input", "tools", "functions", "system", "thinking", "reasoning", "metadata", "user", "max_tokens",
         "output_config", "reasoning_effort", "enable_thinking", "prompt_cache_key"]
    ),
    JSON,
)  # fmt: skip


@given(BODIES)
def test_no_body_makes_a_fact_fail(body: dict[str, Any]) -> None:
    facts = asking("m", body)
    for word in (*WORDS, "header.a", "metadata.user_id", "metadata.a"):
        read = reader(word)
        assert read is not None
        read(facts)
    assert facts.session() is None or isinstance(facts.session(), str)
    assert len(facts.prompt) == 32


def prompt_of(**body: Any) -> str:
    return Facts(asking("m", body).call, {}).prompt


def test_the_prompt_is_the_same_while_a_conversation_goes_on() -> None:
    first = {"role": "user", "content": "one"}
    marked = {"role": "user", "content": [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}]}
    more = [marked, {"role": "assistant", "content": "x"}, {"role": "user", "content": "two"}]
    assert prompt_of(system="S", messages=[first]) == prompt_of(system="S", messages=more)
    assert prompt_of(system="S", messages=[first]) != prompt_of(system="T", messages=[first])
    assert prompt_of(system="S", messages=[first]) != prompt_of(system="S", messages=[first], tools=[{"name": "a"}])
    assert prompt_of(input="one") == prompt_of(input=[{"role": "user", "content": "one"}, {"role": "user"}])


def test_the_key_is_a_fact_of_a_call_that_shows_one() -> None:
    assert asking("m", caller="research").key == "research"
    assert asking("m").key is MISSING
