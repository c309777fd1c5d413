"""Tool calls and their results, one to one: chat providers answer anything else with a 400.

The one rule: after an assistant message with calls comes one tool message for each, in the order of the calls. Nothing
that was said is lost: a result without a call becomes the user's words.
"""

from collections.abc import Iterator

from portbroker.conversation import Json, Report
from portbroker.dialects.openai_chat.encode_parts import text_of

NO_RESULT = "(no result was recorded for this call)"


def repair_pairs(messages: list[Json], report: Report) -> list[Json]:
    """The messages with results in place: put in order, invented where missing, turned into text where orphaned."""
    if _paired(messages):  # as every sound client's are
        return messages
    repaired: list[Json] = []
    for group in _groups(messages):
        calls = group[0].get("tool_calls", [])
        results = [message for message in group if message["role"] == "tool"]
        if not calls and not results:
            repaired.extend(group)
            continue
        if group[0]["role"] == "assistant":
            repaired.append(group.pop(0))
        repaired.extend(_matched(calls, results, report))
        repaired.extend(message for message in group if message["role"] != "tool")
    return repaired


def _paired(messages: list[Json]) -> bool:
    """Whether right behind every message with calls come their results, in order, and results nowhere else."""
    calls: list[Json] = []
    answered = 0
    for message in messages:
        role = message["role"]
        if role == "tool":
            if answered == len(calls) or calls[answered]["id"] != message["tool_call_id"]:
                return False
            answered += 1
        elif answered < len(calls):
            return False
        elif role == "assistant":
            calls, answered = message.get("tool_calls", _NO_CALLS), 0
    return answered == len(calls)


_NO_CALLS: list[Json] = []


def _groups(messages: list[Json]) -> Iterator[list[Json]]:
    """Each assistant message with all that follows it before the next one."""
    group: list[Json] = []
    for message in messages:
        if message["role"] == "assistant" and group:
            yield group
            group = []
        group.append(message)
    if group:
        yield group


def _matched(calls: list[Json], results: list[Json], report: Report) -> Iterator[Json]:
    waiting: dict[str, list[Json]] = {}
    for result in results:
        waiting.setdefault(result["tool_call_id"], []).append(result)
    for call in calls:
        name = call["id"]
        mine = waiting.get(name)
        if mine:
            yield mine.pop(0)
        else:
            report.add("added", f"tool_result:{name}")
            yield {"role": "tool", "tool_call_id": name, "content": NO_RESULT}
    for name, orphans in waiting.items():
        for orphan in orphans:
            report.add("degraded", f"tool_result:{name}")
            yield {"role": "user", "content": f"Result of tool call {name}:\n{text_of(orphan['content'])}"}
