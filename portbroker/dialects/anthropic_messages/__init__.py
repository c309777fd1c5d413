"""`anthropic.messages`: Anthropic's Messages API."""

from portbroker.dialects import Dialect
from portbroker.dialects.anthropic_messages.decode_answer import StreamDecoder, decode_answer
from portbroker.dialects.anthropic_messages.decode_request import decode_request
from portbroker.dialects.anthropic_messages.encode_answer import StreamEncoder, encode_answer
from portbroker.dialects.anthropic_messages.encode_request import encode_request
from portbroker.dialects.anthropic_messages.errors import encode_error
from portbroker.dialects.anthropic_messages.passthrough import pass_request

DIALECT = Dialect(
    name="anthropic.messages",
    path="/messages",
    decode_request=decode_request,
    encode_request=encode_request,
    pass_request=pass_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=StreamDecoder,
    stream_encoder=StreamEncoder,
    encode_error=encode_error,
)
