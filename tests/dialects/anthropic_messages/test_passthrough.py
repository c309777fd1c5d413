"""An Anthropic client's bytes for an Anthropic endpoint: themselves, but for the model and what the gateway minted."""

from typing import Any

import orjson
import pytest

from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.dialects.anthropic_messages.passthrough import pass_request
from portbroker.dialects.envelope import PLAIN
from portbroker.errors import CallError

MINTED = {"type": "thinking", "thinking": "t", "signature": PLAIN}
SIGNED = {"type": "thinking", "thinking": "t", "signature": "EqQB"}
TEXT = {"type": "text", "text": "pb1."}


def passed(raw: bytes, model: str = "m") -> bytes:
    return pass_request(raw, orjson.loads(raw), model, Options())


def history(*blocks: Any) -> Json:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": list(blocks)}]
    return {"model": "m", "messages": [*turns, {"role": "user", "content": "y"}]}


def test_only_the_model_changes() -> None:
    raw = b'{ "model" : "claude", "max_tokens":1e1, "future": {"model":{}} , "messages":[ ] }'
    assert passed(raw) == raw.replace(b'"claude"', b'"m"')


@pytest.mark.parametrize(
    "blocks",
    [
        (SIGNED, TEXT),
        ({"type": "text", "text": 'He said "encrypted_index": "" and pb1.'},),
        ({**TEXT, "citations": [{"encrypted_index": "E"}]},),
        ({"type": "tool_use", "id": "t", "name": "n", "input": {"signature": PLAIN, "encrypted_index": ""}},),
        ({"type": "thinking", "signature": 5}, "stray", 7),
    ],
)
def test_what_the_gateway_did_not_make_passes_untouched(blocks: tuple[Any, ...]) -> None:
    raw = orjson.dumps(history(*blocks))
    assert passed(raw) is raw


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ((MINTED, SIGNED, TEXT), [SIGNED, TEXT]),
        (({"type": "redacted_thinking", "data": PLAIN}, TEXT), [TEXT]),
        (
            ({**TEXT, "citations": [{"encrypted_index": ""}, {"encrypted_index": "E"}]},),
            [{**TEXT, "citations": [{"encrypted_index": "E"}]}],
        ),
    ],
)
def test_what_the_gateway_made_is_taken_out(blocks: tuple[Json, ...], kept: list[Json]) -> None:
    body = history(*blocks)
    assert orjson.loads(passed(orjson.dumps(body), "other")) == {**history(*kept), "model": "other"}


def test_a_turn_of_which_nothing_is_left_goes() -> None:
    sent = orjson.loads(passed(orjson.dumps(history(MINTED))))
    assert [turn["role"] for turn in sent["messages"]] == ["user", "user"]


@pytest.mark.parametrize("messages", [None, {}, [5, {"content": [MINTED], "role": "assistant"}], "pb1."])
def test_what_is_malformed_is_left_to_the_provider(messages: Any) -> None:
    sent = orjson.loads(passed(orjson.dumps({"model": "a", "messages": messages, "x": "pb1."})))
    assert sent["model"] == "m"


def test_a_body_that_can_be_read_but_not_written_is_refused() -> None:
    deep = (
        b'{"model":"m","deep":'
        + b"[" * 500
        + b"]" * 500
        + b',"messages":'
        + orjson.dumps([{"content": [MINTED]}])
        + b"}"
    )
    with pytest.raises(CallError):
        passed(deep)
