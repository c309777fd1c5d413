"""A chat provider's token counts as canonical usage, in all the spellings that providers have for them.

The one rule: four integers, none negative, whatever the provider says; clients add them up.
"""

from typing import Any

from portbroker.conversation import Json
from portbroker.dialects.usage import canonical_usage, count

_PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})


def read_usage(usage: object, tier: object = None) -> Json | None:
    """Canonical usage, or None when the provider counted nothing."""
    if not isinstance(usage, dict):
        return None
    get = usage.get
    prompt, completion, total = count(get("prompt_tokens")), count(get("completion_tokens")), count(get("total_tokens"))
    if prompt is None and completion is None and total is None:
        return None
    prompt, completion, total = prompt or 0, completion or 0, total or 0
    if len(usage) == 3 and usage.keys() == _PLAIN:  # the plain counts and nothing else
        return canonical_usage(prompt, completion, 0, 0, 0, tier)
    prompt_details, details = _object(get("prompt_tokens_details")), _object(get("completion_tokens_details"))
    cached = _first(prompt_details.get("cached_tokens"), get("prompt_cache_hit_tokens"), get("cached_tokens"))
    written = _first(prompt_details.get("cache_write_tokens"), get("cache_creation_input_tokens"))
    reasoning = count(details.get("reasoning_tokens")) or 0
    if total == prompt + completion + reasoning:
        completion += reasoning  # some providers count reasoning apart; only their total shows it
    return canonical_usage(max(0, prompt - cached - written), completion, cached, written, reasoning, tier)


def _first(*values: object) -> int:
    """The first of the counts that is one."""
    for value in values:
        if value is not None and (found := count(value)) is not None:
            return found
    return 0


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
