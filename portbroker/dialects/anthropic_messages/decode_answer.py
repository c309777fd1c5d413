"""An Anthropic provider's whole answer in canonical form, which is its own form.

The one rule: what is understood is checked, what is not is kept; nothing is rebuilt that need not be.
"""

from math import ceil

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.anthropic_messages.decode_stream import StreamDecoder
from portbroker.dialects.faults import holds_fault, read_fault
from portbroker.errors import ProviderError
from portbroker.tokens import text_tokens

__all__ = ["StreamDecoder", "decode_answer"]

_FIELDS: dict[str, dict[str, type]] = {
    "text": {"text": str},
    "thinking": {"thinking": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
}
"""What encoders read of a block, and of which type it must be."""


def decode_answer(body: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as it came; with `_estimated: true` and usage of our own when the provider counted nothing.

    Raises `ProviderError` for an error in the body, and for a body that is no message.
    """
    if holds_fault(body):
        raise read_fault(0, body)
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, list) or body.get("type", "message") != "message":
        raise ProviderError("the provider's answer is not a message")
    for index, block in enumerate(content):
        _check(block, index)
    answer = {**body, "model": _text(body.get("model")), "id": _text(body.get("id"))}
    if not isinstance(body.get("usage"), dict):
        answer |= {"usage": _estimated(content, context), "_estimated": True}
    return answer


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _check(block: object, index: int) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(kind, str):
        raise ProviderError(f"content[{index}] of the provider's answer is not a block")
    for name, wanted in _FIELDS.get(kind, {}).items():
        if not isinstance(block.get(name), wanted):
            raise ProviderError(f"content[{index}] of the provider's answer has no valid {name!r}")
    if not isinstance(block.get("citations") or [], list):
        raise ProviderError(f"content[{index}] of the provider's answer has no valid 'citations'")


def _estimated(content: list[Json], context: AnswerContext) -> Json:
    said = "".join(str(block.get("text") or block.get("thinking") or block.get("input") or "") for block in content)
    return {"input_tokens": context.estimated(), "output_tokens": ceil(text_tokens(said))}
