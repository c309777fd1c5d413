"""Canonical usage: what providers count, in the words that every dialect reads.

The one rule: four integers, none negative, whatever the provider says; clients add them up.
"""

from collections.abc import Iterable
from math import ceil

from portbroker.conversation import Json
from portbroker.tokens import text_tokens

_TIERS = {"priority": "priority", "fast": "priority"}


def canonical_usage(uncached: int, output: int, cached: int, written: int, reasoning: int, tier: object) -> Json:
    """Usage of these counts. `tier` is OpenAI's word for the service tier, if there was one."""
    usage: Json = {
        "input_tokens": uncached,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    }
    if reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": reasoning}
    if isinstance(tier, str) and tier:
        usage["service_tier"] = _TIERS.get(tier, "standard")
    return usage


def estimated_usage(input_tokens: int, said: Iterable[str], tier: object = None) -> Json:
    """Usage for an answer whose provider counted nothing. `said` is all text of the answer."""
    return canonical_usage(input_tokens, ceil(text_tokens("".join(said))), 0, 0, 0, tier)


def first_usage(input_tokens: int) -> Json:
    """Usage at the start of a stream, while nothing is known but the estimate of what went in."""
    return canonical_usage(input_tokens, 0, 0, 0, 0, None)


def count(value: object) -> int | None:
    """A number of tokens, or None: absent, or no number. Negative ones count as nothing."""
    if type(value) is int and 0 <= value < 1 << 53:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Infinity and NaN are no counts; a float is one that lost its way.
    return max(0, int(value)) if abs(value) < 1 << 53 else None
