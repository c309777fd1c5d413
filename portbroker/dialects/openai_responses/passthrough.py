"""A Responses client's own bytes for a provider of the same dialect.

The one rule: only the model changes, and what the gateway itself put into earlier answers that other providers gave.
"""

from typing import Any

import orjson

from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.dialects.envelope import is_envelope
from portbroker.dialects.openai_responses.stored import refuse_background
from portbroker.dialects.splice import with_model
from portbroker.errors import CallError


def pass_request(raw: bytes, body: Json, model: str, options: Options) -> bytes:
    """The client's bytes, asking for `model`; the same object when nothing changes.

    Raises `CallError` for an answer that the client could never fetch.
    """
    refuse_background(body)
    items = body.get("input")
    if isinstance(items, list) and b'"pb1.' in raw:
        kept = [item for item in items if not _is_ours(item)]
        if len(kept) < len(items):
            return _written({**body, "model": model, "input": kept})
    return with_model(raw, body, model)


def _is_ours(item: Any) -> bool:
    """Whether an item is reasoning that was not OpenAI's: it would be refused for what it carries."""
    return isinstance(item, dict) and item.get("type") == "reasoning" and is_envelope(item.get("encrypted_content"))


def _written(body: Json) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # orjson reads deeper than it writes
        raise CallError("The request body is nested too deeply.") from error
