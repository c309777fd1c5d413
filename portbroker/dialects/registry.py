"""The dialects that are served, by name: each put together from the modules of its package."""

from dataclasses import replace

from portbroker.dialects import Dialect
from portbroker.dialects.anthropic_messages import decode_answer as anthropic_answers
from portbroker.dialects.anthropic_messages import decode_request as anthropic_calls
from portbroker.dialects.anthropic_messages import encode_answer as anthropic_replies
from portbroker.dialects.anthropic_messages import encode_request as anthropic_bodies
from portbroker.dialects.anthropic_messages import errors as anthropic_errors
from portbroker.dialects.anthropic_messages import passthrough as anthropic_bytes
from portbroker.dialects.openai_chat import decode_answer as chat_answers
from portbroker.dialects.openai_chat import decode_request as chat_calls
from portbroker.dialects.openai_chat import encode_answer as chat_replies
from portbroker.dialects.openai_chat import encode_request as chat_bodies
from portbroker.dialects.openai_chat import errors as chat_errors
from portbroker.dialects.openai_chat import passthrough as chat_bytes
from portbroker.dialects.openai_responses import decode_answer as responses_answers
from portbroker.dialects.openai_responses import decode_request as responses_calls
from portbroker.dialects.openai_responses import encode_answer as responses_replies
from portbroker.dialects.openai_responses import encode_request as responses_bodies
from portbroker.dialects.openai_responses import errors as responses_errors
from portbroker.dialects.openai_responses import passthrough as responses_bytes

ANTHROPIC_MESSAGES = Dialect(
    name="anthropic.messages",
    path="/messages",
    decode_request=anthropic_calls.decode_request,
    encode_request=anthropic_bodies.encode_request,
    pass_request=anthropic_bytes.pass_request,
    decode_answer=anthropic_answers.decode_answer,
    encode_answer=anthropic_replies.encode_answer,
    stream_decoder=anthropic_answers.StreamDecoder,
    stream_encoder=anthropic_replies.StreamEncoder,
    encode_error=anthropic_errors.encode_error,
    goes_on=anthropic_bytes.goes_on,
)

OPENAI_CHAT = Dialect(
    name="openai.chat",
    path="/chat/completions",
    decode_request=chat_calls.decode_request,
    encode_request=chat_bodies.encode_request,
    pass_request=chat_bytes.pass_request,
    decode_answer=chat_answers.decode_answer,
    encode_answer=chat_replies.encode_answer,
    stream_decoder=chat_answers.StreamDecoder,
    stream_encoder=chat_replies.StreamEncoder,
    encode_error=chat_errors.encode_error,
)

OPENAI_RESPONSES = Dialect(
    name="openai.responses",
    path="/responses",
    decode_request=responses_calls.decode_request,
    encode_request=responses_bodies.encode_request,
    pass_request=responses_bytes.pass_request,
    decode_answer=responses_answers.decode_answer,
    encode_answer=responses_replies.encode_answer,
    stream_decoder=responses_answers.StreamDecoder,
    stream_encoder=responses_replies.StreamEncoder,
    encode_error=responses_errors.encode_error,
)

CHAT_BY_INPUT = replace(OPENAI_CHAT, decode_request=responses_calls.decode_request)
"""What Cursor speaks on the path of chat: it asks as in the Responses API, and reads answers of chat."""

DIALECTS: dict[str, Dialect] = {d.name: d for d in (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES)}
