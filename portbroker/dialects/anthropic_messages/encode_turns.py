"""Turns as Anthropic demands them: roles alternate, the user begins, every call is answered in the turn after it.

The one rule: what the demands force us to add, move or weaken is reported; nothing that was said is lost.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from portbroker.config.options import Options
from portbroker.conversation import Json, Report, Turn
from portbroker.dialects.anthropic_messages.encode_blocks import encode_block, is_plain, text_block
from portbroker.dialects.arguments import clean_id

CONTINUE = "Continue."
NO_RESULT = "(no result was recorded for this call)"

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


@dataclass(slots=True)
class Said:
    """What one role says without interruption. `path` is that of its first message."""

    role: str
    blocks: list[Json]
    path: str = ""


def encode_turns(turns: list[Turn], options: Options, report: Report) -> list[Json]:
    """The `messages` of a body, tool names still the client's. At least one, the first the user's."""
    said = [part for turn in turns if (part := _encoded(turn, options, report)).blocks]
    said = [part for part in map(_spoken, _joined(said, ("user", "assistant"))) if part.blocks]
    said = _joined(_placed(said, options.mid_system is True, report), ("user", "assistant", "system"))
    said = _answered(said, report)
    if not said or said[0].role != "user":
        report.add("added", "messages[0]")
        said.insert(0, Said("user", [text_block(CONTINUE)]))
    if said[-1].role == "assistant":
        _finish(said, options, report)
    return [{"role": part.role, "content": _content(part.blocks)} for part in said]


def _encoded(turn: Turn, options: Options, report: Report) -> Said:
    role = "assistant" if turn.role == "assistant" else "user"
    blocks = [data for block in turn.blocks if (data := encode_block(block, role, options, report))]
    return Said(turn.role, blocks, turn.path)


def _joined(said: Iterable[Said], roles: tuple[str, ...]) -> list[Said]:
    """Neighbours of the same role as one."""
    joined: list[Said] = []
    for part in said:
        if joined and joined[-1].role == part.role and part.role in roles:
            joined[-1].blocks += part.blocks
        else:
            joined.append(Said(part.role, list(part.blocks), part.path))
    return joined


def _spoken(part: Said) -> Said:
    """What is said, without thoughts that lead to nothing: Anthropic refuses a turn that ends in thinking."""
    blocks = part.blocks
    while part.role == "assistant" and blocks and blocks[-1]["type"] in _THOUGHTS:
        blocks.pop()  # the list was made when turns were joined
    return part


# System messages in mid-conversation


def _placed(said: list[Said], allowed: bool, report: Report) -> list[Said]:
    """System messages in place where the model takes them there, otherwise as reminders by the user."""
    placed: list[Said] = []
    for index, part in enumerate(said):
        if part.role == "system" and not (allowed and _has_place(placed, said[index:])):
            report.add("degraded", f"{part.path}.role")
            part = Said("user", [_reminder(part.blocks)], part.path)
        placed.append(part)
    return placed


def _has_place(before: list[Said], rest: list[Said]) -> bool:
    """Whether a system message may stand here: after the user, and last or followed by the assistant."""
    if not before or before[-1].role == "assistant":
        return False
    following = rest[sum(1 for _ in takewhile(lambda part: part.role == "system", rest)) :]
    return not following or following[0].role == "assistant"


def _reminder(blocks: list[Json]) -> Json:
    text = "\n\n".join(block["text"] for block in blocks if block["type"] == "text")
    mark = next((block["cache_control"] for block in reversed(blocks) if "cache_control" in block), None)
    return text_block(f"<system-reminder>\n{text}\n</system-reminder>", mark)


# Calls and results


@dataclass(slots=True)
class _Ids:
    """Ids that Anthropic takes: its characters only, none empty, none twice in a conversation."""

    taken: set[str] = field(default_factory=set)

    def fresh(self, raw: str) -> str:
        clean = candidate = clean_id(raw) or "call"
        number = 2
        while candidate in self.taken:
            candidate = f"{clean}_{number}"
            number += 1
        self.taken.add(candidate)
        return candidate


def _answered(said: list[Said], report: Report) -> list[Said]:
    """Every call with one result, in the order of the calls, at the front of the next turn."""
    ids = _Ids()
    calls: list[tuple[str, str]] = []
    for part in said:
        if part.role == "assistant":
            calls = [(block["id"], ids.fresh(block["id"])) for block in part.blocks if block["type"] == "tool_use"]
            fresh = iter(calls)
            part.blocks = [{**b, "id": next(fresh)[1]} if b["type"] == "tool_use" else b for b in part.blocks]
        elif part.role == "user":
            part.blocks = _results_first(part.blocks, calls, report)
            calls = []
    if calls:
        said.append(Said("user", _results_first([], calls, report)))
    return said


def _results_first(blocks: list[Json], calls: list[tuple[str, str]], report: Report) -> list[Json]:
    given: dict[str, deque[Json]] = {}
    for block in blocks:
        if block["type"] == "tool_result":
            given.setdefault(block["tool_use_id"], deque()).append(block)
    if not calls and not given:
        return blocks
    results = [_result(given.get(raw), call_id, report) for raw, call_id in calls]
    orphans = [part for queue in given.values() for block in queue for part in _orphan(block, report)]
    return results + orphans + [block for block in blocks if block["type"] != "tool_result"]


def _result(given: deque[Json] | None, call_id: str, report: Report) -> Json:
    if given:
        return {**given.popleft(), "tool_use_id": call_id}
    report.add("added", f"tool_result:{call_id}")
    return {"type": "tool_result", "tool_use_id": call_id, "content": NO_RESULT, "is_error": True}


def _orphan(result: Json, report: Report) -> list[Json]:
    """A result that answers no call, as what the user says; Anthropic refuses it as a result."""
    call_id = clean_id(result["tool_use_id"])
    report.add("degraded", f"tool_result:{call_id}")
    content = result.get("content", "")
    blocks = [text_block(content)] if isinstance(content, str) else content
    text = "\n\n".join(block["text"] for block in blocks if block["type"] == "text")
    return [text_block(f"Result of tool call {call_id}:\n{text}"), *(b for b in blocks if b["type"] != "text")]


# The end


def _finish(said: list[Said], options: Options, report: Report) -> None:
    """A turn of the assistant that is to be continued: no trailing white space, and a nudge where none may end."""
    last = said[-1].blocks[-1]
    if last["type"] == "text":
        said[-1].blocks[-1] = {**last, "text": last["text"].rstrip()}
    if options.no_prefill:
        report.add("changed", "prefill")
        said.append(Said("user", [text_block(CONTINUE)]))


def _content(blocks: list[Json]) -> str | list[Json]:
    text: str = blocks[0]["text"] if len(blocks) == 1 and is_plain(blocks[0]) else ""
    return text or blocks
