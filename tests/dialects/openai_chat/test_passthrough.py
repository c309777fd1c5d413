"""What a chat client's bytes become for a chat provider: themselves, but for the model and the wish for usage."""

import orjson
import pytest

from portbroker.config.options import Options
from portbroker.dialects.openai_chat.passthrough import pass_request


def passed(raw: bytes, *, stream_usage: bool = True) -> bytes:
    return pass_request(raw, orjson.loads(raw), "m", Options(stream_usage=stream_usage))


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b'{"model":"a","x":[ 1.50 ]}', b'{"model":"m","x":[ 1.50 ]}'),
        (b'{"model":"a","stream":true}', b'{"stream_options":{"include_usage":true},"model":"m","stream":true}'),
        (
            b'{"stream_options": null, "stream":true ,"model":"a"}',
            b'{"stream_options": {"include_usage":true}, "stream":true ,"model":"m"}',
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{"include_usage":false,"x":1}}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}',
        ),
    ],
)
def test_the_model_and_the_wish_for_usage_are_all_that_changes(raw: bytes, sent: bytes) -> None:
    assert passed(raw) == sent


@pytest.mark.parametrize(
    "raw",
    [
        b'{ "model": "m" }',
        b'{"model":"m","stream":false}',
        b'{"model":"m","stream":true, "stream_options":{"include_usage": true}}',
        b'{"model":"m","stream":"true"}',
        b'{"model":"m","stream":true,"stream_options":"malformed"}',
    ],
)
def test_a_body_that_needs_no_change_is_the_same_object(raw: bytes) -> None:
    assert passed(raw) is raw


def test_a_provider_that_refuses_stream_options_is_not_asked_for_usage() -> None:
    raw = b'{"model":"m","stream":true}'
    assert passed(raw, stream_usage=False) is raw
