"""A glance at the bytes of an event: it may say yes only where reading would have found nothing."""

import orjson
import pytest

from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT


@pytest.mark.parametrize(
    "delta", [{"type": "text_delta", "text": '"type":"error"'}, {"type": "input_json_delta", "partial_json": "{"}]
)
def test_a_delta_only_goes_on(delta: dict[str, str]) -> None:
    assert ANTHROPIC_MESSAGES.goes_on(orjson.dumps({"type": "content_block_delta", "index": 0, "delta": delta}))


@pytest.mark.parametrize("kind", ["message_start", "message_delta", "message_stop", "error", "content_block_start"])
def test_what_begins_counts_or_ends_is_read(kind: str) -> None:
    assert not ANTHROPIC_MESSAGES.goes_on(orjson.dumps({"type": kind, "delta": {}}))


@pytest.mark.parametrize("data", [b"", b"[DONE]", b'{"type":"content_block_delta","index":0', b'{"delta":{}}'])
def test_what_is_cut_or_otherwise_written_is_read(data: bytes) -> None:
    assert not ANTHROPIC_MESSAGES.goes_on(data)


def test_a_dialect_without_a_glance_reads_everything() -> None:
    assert not OPENAI_CHAT.goes_on(b'{"choices":[]}')
