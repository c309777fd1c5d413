"""A chat provider's token counts as canonical usage, in all the spellings that providers have for them.

The one rule: four integers, none negative, whatever the provider says; clients add them up.
"""

from collections.abc import Iterable
from math import ceil
from typing import Any

from portbroker.conversation import Json
from portbroker.tokens import text_tokens

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_UNCOUNTED: list[int | None] = [None, None, None]
_TIERS = {"priority": "priority", "fast": "priority"}


def read_usage(usage: object, tier: object = None) -> Json | None:
    """Canonical usage, or None when the provider counted nothing."""
    if not isinstance(usage, dict):
        return None
    counts = [_count(usage.get(name)) for name in _COUNTS]
    if counts == _UNCOUNTED:
        return None
    prompt, completion, total = [count or 0 for count in counts]
    if len(usage) == len(_COUNTS) and None not in counts:  # the plain counts and nothing else
        return _usage(prompt, completion, 0, 0, 0, tier)
    prompt_details, details = (
        _object(usage.get("prompt_tokens_details")),
        _object(usage.get("completion_tokens_details")),
    )
    cached = _first(
        prompt_details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")
    )
    written = _first(prompt_details.get("cache_write_tokens"), usage.get("cache_creation_input_tokens"))
    reasoning = _count(details.get("reasoning_tokens")) or 0
    if total == prompt + completion + reasoning:
        completion += reasoning  # some providers count reasoning apart; only their total shows it
    return _usage(max(0, prompt - cached - written), completion, cached, written, reasoning, tier)


def estimated_usage(input_tokens: int, said: Iterable[str], tier: object = None) -> Json:
    """Usage for an answer whose provider counted nothing. `said` is all text of the answer."""
    return _usage(input_tokens, ceil(text_tokens("".join(said))), 0, 0, 0, tier)


def first_usage(input_tokens: int) -> Json:
    """Usage at the start of a stream, while nothing is known but the estimate of what went in."""
    return _usage(input_tokens, 0, 0, 0, 0, None)


def _usage(uncached: int, output: int, cached: int, written: int, reasoning: int, tier: object) -> Json:
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


def _first(*values: object) -> int:
    """The first of the counts that is one."""
    return next((count for value in values if (count := _count(value)) is not None), 0)


def _count(value: object) -> int | None:
    """A number of tokens, or None: absent, or no number. Negative ones count as nothing."""
    if type(value) is int and 0 <= value < 1 << 53:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Infinity and NaN are no counts; a float is one that lost its way.
    return max(0, int(value)) if abs(value) < 1 << 53 else None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
