"""An Anthropic client's own bytes for an Anthropic endpoint.

The one rule: only the model changes, and what the gateway itself put into earlier answers that other providers gave.
"""

import re
from typing import Any

import orjson

from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.dialects.anthropic_messages.encode_blocks import genuine
from portbroker.dialects.envelope import is_ours
from portbroker.dialects.splice import with_model
from portbroker.errors import CallError

_MINTED = re.compile(rb'"pb1\.|"encrypted_index"\s*+:\s*+""')


def pass_request(raw: bytes, body: Json, model: str, options: Options) -> bytes:
    """The client's bytes, asking for `model`; the same object when nothing changes."""
    messages = body.get("messages")
    if isinstance(messages, list) and _MINTED.search(raw):
        kept = [kept for message in messages if (kept := _genuine_message(message)) is not None]
        if len(kept) != len(messages) or any(new is not old for new, old in zip(kept, messages, strict=True)):
            return _written({**body, "model": model, "messages": kept})
    return with_model(raw, body, model)


def goes_on(data: bytes) -> bool:
    """Whether an event is a delta of a block. Its type comes first, as Anthropic writes it."""
    return data.startswith(b'{"type":"content_block_delta",') and data.endswith(b"}}")


def _written(body: Json) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # orjson reads deeper than it writes
        raise CallError("The request body is nested too deeply.") from error


def _genuine_message(message: Any) -> Any:
    """The message without what the gateway made: the same object when it has none of that, None when it had no more."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [_genuine_block(block) for block in content if not (isinstance(block, dict) and is_ours(block))]
    if len(kept) == len(content) and all(new is old for new, old in zip(kept, content, strict=True)):
        return message
    return {**message, "content": kept} if kept else None


def _genuine_block(block: Any) -> Any:
    citations = block.get("citations") if isinstance(block, dict) else None
    if not isinstance(citations, list):
        return block
    kept = genuine(citations)
    if len(kept) == len(citations):
        return block
    rest = {key: value for key, value in block.items() if key != "citations"}
    return {**rest, "citations": kept} if kept else rest
