"""The response object around an answer, as every event that carries one shows it.

The one rule: what is the same throughout an answer is written once; a state of it is that and a few keys more.
"""

import json
from typing import Any

import orjson

from portbroker.conversation import AnswerContext, Json, mint

_DEFAULTS: Json = {
    "instructions": None,
    "metadata": {},
    "temperature": None,
    "top_p": None,
    "max_output_tokens": None,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "text": {"format": {"type": "text"}},
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}

_INCOMPLETE = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}
"""Stop reasons of an answer that is not whole, and what is said of them."""


class ToldResponse:
    """One response. Its states are JSON, ready to be sent."""

    __slots__ = ("_frame",)

    def __init__(self, message_id: str, model: str, context: AnswerContext) -> None:
        frame = {
            "id": f"resp_{message_id.removeprefix('msg_')}" if message_id else mint("resp_"),
            "object": "response",
            "created_at": context.created,
            "model": context.request_model or model,
            **_DEFAULTS,
            **context.echo,
        }
        self._frame = dumps(frame)[:-1]

    def begun(self) -> bytes:
        """The response while nothing of it is finished."""
        return self._state("in_progress", [])

    def ended(self, output: list[Json], stop_reason: Any, usage: Json) -> tuple[str, bytes]:
        """Its status (`completed` or `incomplete`) and the whole of it."""
        reason = _INCOMPLETE.get(stop_reason) if isinstance(stop_reason, str) else None
        if reason is None:
            return "completed", self._state("completed", output, usage=told_usage(usage))
        details = {"reason": reason}
        return "incomplete", self._state("incomplete", output, incomplete_details=details, usage=told_usage(usage))

    def failed(self, output: list[Json], error: Json) -> bytes:
        return self._state("failed", output, error=error)

    def _state(
        self,
        status: str,
        output: list[Json],
        *,
        error: Json | None = None,
        incomplete_details: Json | None = None,
        usage: Json | None = None,
    ) -> bytes:
        state = {
            "status": status,
            "error": error,
            "incomplete_details": incomplete_details,
            "output": output,
            "usage": usage,
        }
        return self._frame + b"," + dumps(state)[1:]


def dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Half a surrogate pair: a provider cut a character in two. Escaped, the client can join the halves.
        return json.dumps(value, separators=(",", ":")).encode()


def told_usage(usage: Json) -> Json:
    """Canonical usage as a Responses client adds it up: cached and written tokens are part of the input."""
    cached, written = _count(usage.get("cache_read_input_tokens")), _count(usage.get("cache_creation_input_tokens"))
    given, output = _count(usage.get("input_tokens")) + cached + written, _count(usage.get("output_tokens"))
    details = usage.get("output_tokens_details")
    thought = _count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": given + output,
    }


def _count(value: object) -> int:
    """A number of tokens; nothing that is not one, and none below zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 53:
        return 0
    return int(value)
