"""A Responses client's own bytes: what changes in them and what must not."""

import orjson
import pytest

from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.dialects.envelope import wrap
from portbroker.dialects.openai_responses.passthrough import pass_request
from portbroker.errors import CallError


def passed(raw: bytes, model: str = "theirs") -> bytes:
    return pass_request(raw, orjson.loads(raw), model, Options())


def test_only_the_model_changes_and_unknown_keys_stay() -> None:
    raw = b'{ "model" : "m", "input": "hi", "of_tomorrow": {"x": 1.0}, "previous_response_id": "resp_1" }'
    assert passed(raw) == raw.replace(b'"m"', b'"theirs"')
    assert passed(raw, "m") is raw


def test_reasoning_that_another_provider_gave_is_left_out() -> None:
    own: Json = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}
    theirs: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": wrap("an", s="S")}
    message: Json = {"role": "user", "content": 'a "pb1. in words'}
    raw = orjson.dumps({"model": "m", "input": [theirs, own, message], "x": 1})
    assert orjson.loads(passed(raw)) == {"model": "theirs", "input": [own, message], "x": 1}
    kept = orjson.dumps({"model": "m", "input": [own, {"role": "user", "content": "pb1."}]})
    assert passed(kept, "m") is kept


def test_an_answer_that_could_never_be_fetched_is_refused() -> None:
    with pytest.raises(CallError) as caught:
        passed(b'{"model":"m","input":"hi","background":true}')
    assert caught.value.param == "background"
