"""A canonical answer as a response object.

The one rule: it is what the stream of the same answer ends with.
"""

import orjson

from portbroker.conversation import AnswerContext, Json, Report, answer_events
from portbroker.dialects.openai_responses.encode_stream import StreamEncoder

__all__ = ["StreamEncoder", "encode_answer"]


def encode_answer(answer: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as a Responses client reads it."""
    encoder = StreamEncoder(context, report)
    for event in answer_events(answer):
        encoder.feed(event)
    _, response = encoder.ended()
    whole: Json = orjson.loads(response)
    return whole
