"""A provider is changed in the text of the file, and nothing else in it is: no comment, no order, no spelling."""

import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config import edits
from portbroker.config.document import parse

FILE = """\
# top
server: {port: 1}   # flow,   odd   spacing
providers:
  # the first
  - name: A   # a comment
    provider_type: openai
    api_key: "{{ env.A }}" # its key
    # about models
    big_model: gpt-5.2
    models:
      - "x"
      - y

  # the second
  - name: B
    api_key: 'k'
    headers: {a:   b}

  - name: C
    base_url: http://x/v1 # c

# Where things go
models:
  - {match: "x",   targets: [{provider: A, model: y}]}
...
"""


def difference(after: str, before: str = FILE) -> list[str]:
    """The lines that went and came."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[:1] in "+-"]


def test_a_value_is_changed_and_its_comment_stays() -> None:
    after = edits.changed(FILE, 0, {"api_key": "{{ secret.a }}", "big_model": "gpt-6"})
    assert difference(after) == [
        '-     api_key: "{{ env.A }}" # its key', '+     api_key: "{{ secret.a }}" # its key',
        "-     big_model: gpt-5.2", "+     big_model: gpt-6",
    ]  # fmt: skip


def test_a_value_that_is_the_same_is_not_written_anew() -> None:
    assert edits.changed(FILE, 1, {"api_key": "k", "headers": {"a": "b"}}).count("'k'") == 1


def test_a_new_value_comes_behind_the_others_of_its_provider() -> None:
    assert difference(edits.changed(FILE, 0, {"priority": 3})) == ["+     priority: 3"]
    assert difference(edits.changed(FILE, 2, {"timeout": {"connect": 1.5}})) == [
        "+     timeout:", "+       connect: 1.5"
    ]  # fmt: skip


def test_a_value_goes_and_the_comments_around_it_stay() -> None:
    assert difference(edits.changed(FILE, 0, {}, ["big_model"])) == ["-     big_model: gpt-5.2"]
    assert difference(edits.changed(FILE, 0, {}, ["api_key"])) == ['-     api_key: "{{ env.A }}" # its key']


def test_a_provider_is_added_behind_the_last() -> None:
    after = edits.added(FILE, {"name": "D", "api_key": "{{ secret.d }}", "is_active": False})
    assert difference(after) == ["+   - name: D", '+     api_key: "{{ secret.d }}"', "+     is_active: false", "+ "]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_provider_goes_with_its_lines_alone(index: int) -> None:
    after = edits.removed(FILE, index)
    assert [p["name"] for p in parse(after).data["providers"]] == [name for at, name in enumerate("ABC") if at != index]
    assert all(line.startswith("-") for line in difference(after))
    for comment in ("# top", "# the first", "# the second", "# Where things go", "flow,   odd   spacing"):
        assert comment in after


OTHERS = [
    "providers: []\n", "server: {port: 1}\n", "providers: [{name: A}]\n", "providers:\n- name: A\n  api_key: x",
    "providers:\n-\n    name: A\n", "providers:\n    -   name: A\n        headers:\n            a: b\n",
    "providers:\r\n  - name: A\r\n    models: [x]\r\nmodels: []\r\n", '{"providers": [{"name": "A"}], "models": []}\n',
    "x-base: &base {priority: 1}\nproviders:\n  - &a\n    name: A\n    <<: *base\n",
    "providers:\n  - name: A\n    api_key: |-\n      # not a comment\n\n      k\n    # one\n\nmodels: []\n",
    "providers:\n  - name: A\n    big_model: >-\n      x\n      # still text\n",
    "---\nproviders:\n  - {name: A, headers: {x: y}} # flow\n", "providers: # here\n  - name: A # a\n",
    "providers:\n  - name: 'A'\n    timeout: {connect: 1}\n  # nothing more\n",
]  # fmt: skip


@pytest.mark.parametrize("text", OTHERS)
def test_a_file_of_any_layout_says_what_was_meant(text: str) -> None:
    before = parse(text).data
    providers = before.get("providers") or []
    assert parse(edits.added(text, {"name": "N"})).data == {**before, "providers": [*providers, {"name": "N"}]}
    if providers:
        after = parse(edits.changed(text, 0, {"name": "Z", "priority": 7})).data
        assert after == {**before, "providers": [{**providers[0], "name": "Z", "priority": 7}, *providers[1:]]}
        assert parse(edits.removed(text, 0)).data == {**before, "providers": providers[1:]}


WORDS = st.sampled_from([
    "yes", "no", "null", "~", "012", "1e3", "- x", "# x", "a: b", "{{ secret.x }}", "'", '"', "ünï", "x #y", " x ",
    "*a", "&a", "!t", "%x", "@x", "`x`", "[x", "{x", "...", "---", "0x1F", ".5",
])  # fmt: skip


@given(index=st.integers(0, 2), values=st.dictionaries(st.sampled_from(["big_model", "name", "base_url"]), WORDS),
       headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), WORDS),
       gone=st.sets(st.sampled_from(["api_key", "models", "base_url", "provider_type"])))  # fmt: skip
def test_any_change_is_read_as_it_was_meant(
    index: int, values: dict[str, str], headers: dict[str, str], gone: set[str]
) -> None:
    given_ = {name: value for name, value in {**values, "headers": headers}.items() if name not in gone}
    after = edits.changed(FILE, index, given_, gone)
    wanted: dict[str, Any] = {**parse(FILE).data["providers"][index], **given_}
    assert parse(after).data["providers"][index] == {k: v for k, v in wanted.items() if k not in gone}
    for comment in ("# top", "# the first", "# the second", "# Where things go", "flow,   odd   spacing"):
        assert comment in after


def test_what_cannot_be_changed_in_the_file_is_not_changed() -> None:
    text = "base: &b {name: A}\nproviders:\n  - *b\n"
    with pytest.raises(edits.NotEdited):
        edits.changed(text, 0, {"name": "B"})
