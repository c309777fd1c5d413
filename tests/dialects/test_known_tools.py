"""Bodies whose tools were seen before: parsed as any other, and with the very list of the call before."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config.options import Options
from portbroker.conversation import Lasting, Report
from portbroker.dialects.known_tools import KnownTools
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT
from portbroker.errors import CallError

TOOLS = [{"name": f"Tool{n}", "description": "d" * 300, "input_schema": {"type": "object"}} for n in range(30)]


def written(body: Any) -> bytes:
    return json.dumps(body).encode()


def warm(tools: Any = TOOLS) -> KnownTools:
    """One that has seen these tools twice."""
    known = KnownTools()
    for turn in ("first", "second"):
        known.loads(written({"messages": [turn], "tools": tools, "max_tokens": 1}))
    return known


def test_tools_that_came_twice_are_one_list_from_then_on() -> None:
    known = warm()
    one, two = (known.loads(written({"messages": [turn], "tools": TOOLS, "max_tokens": 1})) for turn in "ab")
    assert one == {"messages": ["a"], "tools": TOOLS, "max_tokens": 1}
    assert two == {"messages": ["b"], "tools": TOOLS, "max_tokens": 1}
    assert one["tools"] is two["tools"]
    assert isinstance(one["tools"], Lasting)


def test_tools_that_came_once_are_not_remembered() -> None:
    known = KnownTools()
    assert not isinstance(known.loads(written({"tools": TOOLS}))["tools"], Lasting)
    assert not isinstance(known.loads(written({"tools": TOOLS}))["tools"], Lasting)
    assert isinstance(known.loads(written({"tools": TOOLS}))["tools"], Lasting)


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"tools": TOOLS}},  # deeper
        {"tools": None, "input": {"tools": TOOLS}},
        {"tools": [1], "input": {"tools": TOOLS}},
        {"tools": TOOLS, "input": {"tools": TOOLS}},
        {"tools": TOOLS, "input": '{"tools": ' + json.dumps(TOOLS) + "}"},  # within a text
        {"tools": [*TOOLS, {"name": "one more"}]},
        {"tools": TOOLS[:-1]},
        [{"tools": TOOLS}],
    ],
)
def test_what_only_looks_like_known_tools_is_what_it_is(body: Any) -> None:
    known = warm()
    assert [known.loads(written(body)) for _ in range(4)] == [body] * 4


def test_of_tools_that_are_repeated_the_last_count() -> None:
    known, text = warm(), written(TOOLS)
    first, last = (b'{"tools": %b, "tools": %b}' % pair for pair in ((text, b"[1]"), (b"[1]", text)))
    assert known.loads(first) == {"tools": [1]}
    assert known.loads(last) == {"tools": TOOLS}


@pytest.mark.parametrize("damage", [b"", b"}", b',"a":}', b', "\xff": 1}'])
def test_a_damaged_body_is_refused_as_if_nothing_were_known(damage: bytes) -> None:
    known, raw = warm(), b'{"tools": ' + written(TOOLS) + damage
    if damage == b"}":
        assert known.loads(raw) == {"tools": TOOLS}
        return
    with pytest.raises(orjson.JSONDecodeError) as ours:
        known.loads(raw)
    with pytest.raises(orjson.JSONDecodeError) as theirs:
        orjson.loads(raw)
    assert str(ours.value) == str(theirs.value)


def test_what_is_remembered_is_bounded() -> None:
    known = KnownTools(most=4, size=200_000)
    for number in range(40):
        tools = [{"name": f"{number}", "description": "x" * 9000}]
        for _ in range(3):
            assert known.loads(written({"tools": tools})) == {"tools": tools}
    kept = [tools for variants in known._known.values() for tools in variants]
    assert len(kept) == 4
    assert known._held == sum(len(tools.text) for tools in kept)
    assert len(known._seen) <= 32


def test_tools_that_begin_alike_are_told_apart() -> None:
    kinds = [TOOLS, TOOLS[:29], TOOLS[:28], [*TOOLS, *TOOLS], TOOLS[:27], TOOLS[:26]]
    known = KnownTools()
    for _ in range(4):
        for tools in kinds:
            assert known.loads(written({"tools": tools})) == {"tools": tools}


def test_known_tools_are_put_into_chat_as_unknown_ones_are() -> None:
    tools = [*TOOLS, {"name": "a.b" * 30, "input_schema": {}, "strict": True}, {"type": "web_search_20250305"}]
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    plain, known = orjson.loads(written(body)), {**body, "tools": Lasting(tools)}
    for options in (Options(), Options(tool_name_max=40, strict_tools=False), Options(web_search="options")):
        for _ in range(2):
            assert as_chat(known, options) == as_chat(plain, options)
    for wrong in ([*tools, 1], [*tools, {}]):
        for _ in range(2):
            with pytest.raises(CallError):
                as_chat({**body, "tools": Lasting(wrong)}, Options())


def as_chat(body: Any, options: Options) -> tuple[Any, Any, list[str]]:
    report = Report()
    conversation = ANTHROPIC_MESSAGES.decode_request(body, report)
    written, context = OPENAI_CHAT.encode_request(conversation, options, lambda params, _: params, report)
    return written, context.tool_names, [str(adaptation) for adaptation in report]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", '"tools"', '\\"tools": [']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tools", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["tools", "a", "b"]), JSON, max_size=3), min_size=1, max_size=4))
def test_any_body_is_what_it_would_have_been_without_memory(bodies: list[Any]) -> None:
    known = KnownTools()
    for body in bodies * 3:
        raw = written({"padding": "x" * 9000, **body})
        assert known.loads(raw) == orjson.loads(raw)
