"""The tool calls of a canonical stream, as the deltas that a chat client puts together.

The one rule: a call's number counts calls, not blocks, and every call's arguments are told before its block ends.
"""

from dataclasses import dataclass, field
from typing import Any

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.custom_tools import told_text
from portbroker.dialects.openai_chat.told_parts import compact, real_name


@dataclass(slots=True)
class _Call:
    """One in flight. `given` is the input that came with its start, `held` a custom tool's pieces: they mean something
    only together."""

    number: int
    given: Any
    custom: bool
    sent: bool = False
    held: list[str] = field(default_factory=list)


class ToldCalls:
    """The calls of one answer, by the index of their blocks."""

    __slots__ = ("_context", "_open", "_report", "count")

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self._context = context
        self._report = report
        self._open: dict[int, _Call] = {}
        self.count = 0

    def open(self, index: int, block: Json) -> Json:
        """The delta that names a call."""
        name = real_name(block["name"], self._context)
        call = _Call(self.count, block.get("input"), name in self._context.custom_tools)
        self._open[index] = call
        self.count += 1
        kind, argument = ("custom", "input") if call.custom else ("function", "arguments")
        return _delta(call, {"id": block["id"], "type": kind, kind: {"name": name, argument: ""}})

    def more(self, index: int, piece: str) -> Json | None:
        """The delta for a piece of a call's arguments; None for a piece of no call of the client's."""
        call = self._open.get(index)
        if call is None or not piece:
            return None
        call.sent = True
        if call.custom:
            call.held.append(piece)
            return None
        return _delta(call, {"function": {"arguments": piece}})

    def close(self, index: int) -> Json | None:
        """The delta that a call still owes: its free text, or arguments that came with its start or not at all."""
        call = self._open.pop(index, None)
        if call is None:
            return None
        if call.custom:
            text = self._free_text(call, index)
            return _delta(call, {"custom": {"input": text}}) if text else None
        if call.sent:
            return None
        return _delta(call, {"function": {"arguments": compact(call.given if isinstance(call.given, dict) else {})}})

    def _free_text(self, call: _Call, index: int) -> str:
        text, kept = told_text("".join(call.held), call.given)
        if not kept:
            self._report.add("invalid", f"content[{index}].input")
        return text


def _delta(call: _Call, told: Json) -> Json:
    return {"tool_calls": [{"index": call.number, **told}]}
