"""A Responses provider's whole answer in canonical form, its items in their order.

The one rule: no answer is thrown away for what it gets wrong; only one that failed, or that is none, raises.
"""

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.faults import holds_fault, read_fault
from portbroker.dialects.openai_responses.decode_stream import StreamDecoder
from portbroker.dialects.openai_responses.read_items import Reading, message_id, refuse_failure, text_of
from portbroker.dialects.openai_responses.usage import read_usage
from portbroker.dialects.usage import estimated_usage
from portbroker.errors import ProviderError

__all__ = ["StreamDecoder", "decode_answer"]


def decode_answer(body: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as a canonical message. With `_estimated: true` when the provider gave no usage.

    Raises `ProviderError` for an error in the body, and for a body that is no response.
    """
    if holds_fault(body):
        raise read_fault(0, body)
    output = body.get("output")
    if not isinstance(output, list):
        raise ProviderError("the provider's answer is not a response")
    refuse_failure(body)
    reading = Reading(context, report)
    blocks = [block for index, item in enumerate(output) for block in reading.blocks(item, f"output[{index}]")]
    answer: Json = {
        "id": message_id(body.get("id")),
        "type": "message",
        "role": "assistant",
        "model": text_of(body.get("model")),
        "content": blocks,
        **reading.stop(body, any(block["type"] == "tool_use" for block in blocks)),
        "usage": read_usage(body.get("usage"), body.get("service_tier")),
    }
    if answer["usage"] is None:
        said = (str(block.get("text") or block.get("thinking") or block.get("input") or "") for block in blocks)
        answer |= {"usage": estimated_usage(context.estimated(), said, body.get("service_tier")), "_estimated": True}
    return answer
