"""`openai.chat`: OpenAI's Chat Completions API, and what the many servers that copy it make of it."""

from portbroker.dialects import Dialect
from portbroker.dialects.openai_chat.decode_answer import StreamDecoder, decode_answer
from portbroker.dialects.openai_chat.decode_request import decode_request
from portbroker.dialects.openai_chat.encode_answer import StreamEncoder, encode_answer
from portbroker.dialects.openai_chat.encode_request import encode_request
from portbroker.dialects.openai_chat.errors import encode_error
from portbroker.dialects.openai_chat.passthrough import pass_request

DIALECT = Dialect(
    name="openai.chat",
    path="/chat/completions",
    decode_request=decode_request,
    encode_request=encode_request,
    pass_request=pass_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    encode_error=encode_error,
)
