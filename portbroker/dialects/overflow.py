"""A prompt that does not fit, in the words of every provider: is it that, and what are the numbers?

The one rule: only texts of providers are read here; how an overflow is told to a client is each dialect's own.
"""

import re
from collections.abc import Collection

from portbroker.conversation import Json
from portbroker.errors import Overflow

_CODES = frozenset({
    "context_length_exceeded", "string_above_max_length", "model_max_prompt_tokens_exceeded",
    "exceed_context_size_error", "1261",
})  # fmt: skip

_MESSAGE = re.compile(
    r"prompt is too long|maximum context length|context[_ ]length|context window"
    r"|exceeds the (?:available )?context size|input token count .*exceeds|too many (?:input )?tokens(?! per)"
    r"|reduce the length of the (?:input )?(?:messages|prompt)|range of input length should be"
    r"|input length and .max_tokens. exceed|maximum prompt length"
    r"|exceeded model token limit|input is too long|maximum model length|prompt exceeds max length",
    re.IGNORECASE,
)

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BOTH = re.compile(r"exceed context limit: (\d{1,12}) \+ (\d{1,12}) > (\d{1,12})")
_LIMIT = re.compile(
    r"(?:maximum context length|context length|maximum model length|maximum prompt length|context window|context size)"
    r"(?: is| of)?(?: only)?:? ?\(?(\d+)"
    r"|> (\d+) maximum|maximum number of tokens allowed(?: is)? ?\(?(\d+)|input length should be \[\d+, ?(\d+)\]"
    r"|with (\d+) maximum context|exceeds the (?:context )?limit of (\d+)|token limit: (\d+)",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"(\d+)(?: tokens)? (?:in|for|of) the (?:completion|output)|(\d+) output tokens|tokens'? is too large: (\d+)",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"requested (?:about |a total of )?(\d+) tokens", re.IGNORECASE)
_INPUT = re.compile(
    r"resulted in (\d+) tokens|(\d+)(?: tokens)? (?:in|from|of) the (?:input|messages|prompt)|(\d+) input tokens"
    r"|too long: (\d+)|token count (?:of |\()(\d+)|contains (\d+) tokens|(?:request|input|prompt) \((?:length )?(\d+)"
    r"|(\d+) of text input",
    re.IGNORECASE,
)


def is_overflow(message: str, codes: Collection[str], status: int) -> bool:
    """Whether an error says that the prompt, or the prompt and its answer, are too long for the model.

    Words alone do not make a rate limit ("too many tokens per minute") or a refused credential one.
    """
    if not _CODES.isdisjoint(codes):
        return True
    return status not in (401, 402, 403, 404, 429) and _MESSAGE.search(message) is not None


def read_overflow(message: str, fields: Json) -> Overflow:
    """The numbers, from the message or, as llama.cpp gives them, from the error's own fields."""
    message = _THOUSANDS.sub("", message)
    if both := _BOTH.search(message):
        return Overflow(int(both[1]), int(both[3]), int(both[2]))
    limit = _field(fields, "n_ctx") or _first(_LIMIT, message)
    output, total = _first(_OUTPUT, message), _first(_TOTAL, message)
    tokens = _field(fields, "n_prompt_tokens") or _first(_INPUT, message) or total
    if output and total and total > output:
        tokens = total - output
    fits = output is not None and tokens is not None and limit is not None and tokens < limit
    return Overflow(tokens, limit, output if fits else None)


def _first(pattern: re.Pattern[str], message: str) -> int | None:
    match = pattern.search(message)
    return int(next(filter(None, match.groups()))[:12]) if match else None


def _field(fields: Json, name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12 else None
