"""Why a chat provider stopped, as canonical stop reasons.

The one rule: what a provider says of the end and what its content shows can differ; then the content is right.
"""

from typing import Final

from portbroker.conversation import AnswerContext, Json, Report

FAILED: Final = frozenset({"error", "network_error", "abort"})
"""Finish reasons that say there is no answer."""

_STOP_REASONS = {
    "length": "max_tokens",
    "insufficient_system_resource": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "content_filter": "refusal",
    "sensitive": "refusal",
}
# Reasons that mean a normal end; whether it is one or a tool call, the content says better than the provider.
_NORMAL = frozenset({"stop", "eos", "tool_calls", "function_call"})


class Stop:
    """What a provider has said about the end, gathered from an answer or from the chunks of a stream."""

    __slots__ = ("finish", "matched", "refusal")

    def __init__(self) -> None:
        self.finish: object = None
        self.matched: object = None
        self.refusal = ""

    def note(self, choice: Json) -> None:
        """Take what a choice says of the end; a later word replaces an earlier one."""
        if finish := choice.get("finish_reason"):
            self.finish = finish
        if matched := choice.get("stop_reason") or choice.get("matched_stop"):
            self.matched = matched

    @property
    def cut(self) -> bool:
        """Whether the answer may end in the middle of a call."""
        return self.reason in ("max_tokens", "model_context_window_exceeded", "refusal")

    @property
    def reason(self) -> str | None:
        """The stop reason that needs no look at the content; None for a normal end."""
        if self.refusal:
            return "refusal"
        return _STOP_REASONS.get(self.finish) if isinstance(self.finish, str) else None

    def read(self, uses_tools: bool, context: AnswerContext, report: Report) -> Json:
        """`stop_reason`, `stop_sequence` and, for a refusal, `stop_details`."""
        reason = self.reason
        if reason == "refusal":
            details = {"type": "refusal", "category": None, "explanation": self.refusal or None}
            return {"stop_reason": reason, "stop_sequence": None, "stop_details": details}
        if reason:
            return {"stop_reason": reason, "stop_sequence": None}
        if self.finish is not None and not (isinstance(self.finish, str) and self.finish in _NORMAL):
            report.add("unknown", "finish_reason")
        if uses_tools:
            return {"stop_reason": "tool_use", "stop_sequence": None}
        if self.finish == "stop" and isinstance(self.matched, str) and self.matched in context.stop_sequences:
            return {"stop_reason": "stop_sequence", "stop_sequence": self.matched}
        return {"stop_reason": "end_turn", "stop_sequence": None}
