"""Chunks that say nothing but that a text, a thought or the arguments of a call go on: nearly all of a stream.

The one rule: a chunk is plain only if nothing else in it could mean anything to its decoder.
"""

from typing import Any, Final

from portbroker.dialects import Strand
from portbroker.dialects.openai_chat.narrator import TEXT_STRAND, THINKING_STRAND

_STRANDS: Final = {"content": TEXT_STRAND, "reasoning_content": THINKING_STRAND, "reasoning": THINKING_STRAND}
_CALL: Final = frozenset({"index", "type", "id", "function"})


def plain(chunk: Any) -> tuple[Strand, str] | None:
    """The strand that a chunk goes on with and its text; None for any other chunk."""
    try:
        choice = chunk["choices"][0]
        if (
            choice.get("finish_reason")
            or choice.get("index")
            or chunk.get("usage")
            or "error" in chunk
            or "base_resp" in chunk
        ):
            return None
        said = choice["delta"].items()
        if len(said) > 1:
            said = [(key, value) for key, value in said if value and key != "role"]
        ((name, text),) = said
        if name == "tool_calls":
            return _plain_call(text)
        return (_STRANDS[name], text) if text and type(text) is str else None
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return None


def _plain_call(calls: Any) -> tuple[Strand, str] | None:
    """The same for calls, of which there may be only one, and that one already has its id and its name."""
    (call,) = calls
    function, number = call["function"], call["index"]
    text = function["arguments"]
    if type(number) is not int or type(text) is not str or not text or call.get("id") or not _CALL.issuperset(call):
        return None
    return (("input_json_delta", number), text) if len(function) == 1 or not function.get("name") else None
