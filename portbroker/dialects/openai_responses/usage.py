"""A Responses provider's token counts as canonical usage. One rule: cached and written tokens are counted once."""

from typing import Any

from portbroker.conversation import Json
from portbroker.dialects.usage import canonical_usage, count


def read_usage(usage: object, tier: object = None) -> Json | None:
    """Canonical usage, or None when the provider counted nothing."""
    if not isinstance(usage, dict):
        return None
    given, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if given is None and output is None:
        return None
    inward, outward = _object(usage.get("input_tokens_details")), _object(usage.get("output_tokens_details"))
    cached, written = count(inward.get("cached_tokens")) or 0, count(inward.get("cache_write_tokens")) or 0
    reasoning = count(outward.get("reasoning_tokens")) or 0
    return canonical_usage(max(0, (given or 0) - cached - written), output or 0, cached, written, reasoning, tier)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
