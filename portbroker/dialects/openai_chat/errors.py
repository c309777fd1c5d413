"""Errors as a Chat Completions client reads them.

The one rule: they are those of OpenAI's APIs; only what an overflow points at is chat's own.
"""

from portbroker.dialects import ErrorAnswer
from portbroker.dialects.openai_errors import openai_error
from portbroker.errors import GatewayError


def encode_error(error: GatewayError, request_id: str) -> ErrorAnswer:
    """The error as the API would answer it. The request id travels in headers only."""
    return openai_error(error, "messages")
