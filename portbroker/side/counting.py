"""Our own count of a call's tokens, for providers that do not count.

The one rule: what counts is loaded when the first call is to be counted, and keeps nobody else waiting.
"""

import asyncio

from portbroker.call import Call
from portbroker.conversation import Json
from portbroker.dialects.registry import OPENAI_RESPONSES
from portbroker.errors import GatewayError
from portbroker.facts import Facts
from portbroker.snapshot import Snapshot


async def counted(call: Call, facts: Facts, snapshot: Snapshot) -> Json:
    """The count, as the client's dialect tells it."""
    # In a thread, imports included: the vocabulary takes a tenth of a second, and so does a long conversation.
    tokens = await asyncio.to_thread(_count, call.body, _upstream_model(facts, snapshot))
    if call.dialect is OPENAI_RESPONSES:
        return {"object": "response.input_tokens", "input_tokens": tokens}
    return {"input_tokens": tokens}


def _upstream_model(facts: Facts, snapshot: Snapshot) -> str:
    """The model that would be asked first; nothing for one that nobody serves."""
    try:
        return snapshot.resolve(facts).targets[0].model
    except GatewayError:
        return ""


def _count(body: Json, model: str) -> int:
    from portbroker.tokenizer import count_tokens

    return count_tokens(body, model)
