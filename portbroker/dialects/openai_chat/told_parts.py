"""Parts of a canonical answer in Chat Completions' words, whole or streamed alike.

The one rule: values in, values out; counts are clean integers whatever was counted.
"""

from typing import Any

import orjson

from portbroker.conversation import AnswerContext, Json, mint

REFUSAL = "The model declined to answer this request."
"""What a refusal says that explains nothing."""

REASONING_FORMAT = "anthropic-claude-v1"

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "compaction": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority"}


def completion_id(message_id: str) -> str:
    """The message's own id in a chat client's form; a fresh one for a message without."""
    return "chatcmpl-" + message_id.removeprefix("msg_").removeprefix("chatcmpl-") if message_id else mint("chatcmpl-")


def finish_reason(stop_reason: Any, calls: bool) -> str:
    """`calls`: whether the answer has any."""
    known = _FINISH.get(stop_reason) if isinstance(stop_reason, str) else None
    return known or ("tool_calls" if calls else "stop")


def told_usage(usage: Json) -> Json:
    """Canonical usage as a chat client adds it up: cached and written tokens are part of the prompt."""
    cached, written = _count(usage.get("cache_read_input_tokens")), _count(usage.get("cache_creation_input_tokens"))
    prompt = _count(usage.get("input_tokens")) + cached + written
    completion = _count(usage.get("output_tokens"))
    told: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
    }
    details = usage.get("output_tokens_details")
    if isinstance(details, dict) and "thinking_tokens" in details:
        told["completion_tokens_details"] = {"reasoning_tokens": _count(details["thinking_tokens"])}
    return told


def _count(value: object) -> int:
    """A number of tokens; nothing that is not one, and none below zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 53:
        return 0
    return int(value)


def told_tier(usage: Json) -> str | None:
    """The service tier, where Chat Completions has a word for it."""
    tier = usage.get("service_tier")
    return _TIERS.get(tier) if isinstance(tier, str) else None


def annotation(citation: object, start: int, end: int) -> Json | None:
    """A web citation of the text from `start` to `end`; None for any other kind."""
    if not isinstance(citation, dict) or citation.get("type") != "web_search_result_location":
        return None
    url, title = citation.get("url"), citation.get("title")
    if not isinstance(url, str):
        return None
    told = {"start_index": start, "end_index": end, "title": title if isinstance(title, str) else "", "url": url}
    return {"type": "url_citation", "url_citation": told}


def sealed(data: Any, index: int) -> Json:
    """A redacted block, for a client that carries it back."""
    return {"type": "reasoning.encrypted", "data": data, "format": REASONING_FORMAT, "index": index}


def real_name(name: str, context: AnswerContext) -> str:
    """The client's name of a tool."""
    return context.tool_names.get(name, name)


def compact(value: Any) -> str:
    return orjson.dumps(value).decode()
