import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.dialects import envelope

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.text())
def test_state_comes_back_where_it_was_made(state: object, origin: str) -> None:
    sealed = envelope.wrap("rd", origin, v=state)
    payload = envelope.unwrap(sealed, origin)
    assert payload is not None
    assert (payload["k"], payload["v"]) == ("rd", state)


def test_state_is_ignored_at_another_origin() -> None:
    sealed = envelope.wrap("oe", "OpenAI/gpt-5", v="secret")
    assert envelope.unwrap(sealed, "Other/gpt-5") is None
    assert envelope.unwrap(sealed) is None


def test_state_without_an_origin_is_valid_everywhere() -> None:
    assert envelope.unwrap(envelope.wrap("gts", m={"call_1": "SIG"}), "anywhere") == {
        "k": "gts",
        "m": {"call_1": "SIG"},
    }


def test_state_beyond_the_limit_leaves_plain_reasoning() -> None:
    assert envelope.wrap("rd", v="x" * envelope.LIMIT) == envelope.PLAIN
    assert envelope.unwrap(envelope.PLAIN) == {"k": "rc"}
    assert envelope.unwrap(envelope.PREFIX + "A" * envelope.LIMIT) is None


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_a_clients_rubbish_is_no_state(rubbish: str) -> None:
    payload = envelope.unwrap(envelope.PREFIX + rubbish)
    assert payload is None or isinstance(payload["k"], str)


@pytest.mark.parametrize(
    ("block", "ours"),
    [
        ({"type": "thinking", "thinking": "t", "signature": envelope.PLAIN}, True),
        ({"type": "redacted_thinking", "data": "pb1.x"}, True),
        ({"type": "thinking", "thinking": "t", "signature": "EqQB"}, False),
        ({"type": "thinking", "thinking": "t", "signature": None}, False),
        ({"type": "text", "text": "pb1.", "signature": "pb1.x"}, False),
        (envelope.carrier("pb1.x"), True),
    ],
)
def test_only_thinking_blocks_with_an_envelope_are_ours(block: dict[str, object], ours: bool) -> None:
    assert envelope.is_ours(block) is ours
