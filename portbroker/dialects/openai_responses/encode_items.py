"""The turns of a conversation as the items of a Responses call, every call with its output.

The one rule: after the calls of a turn comes one output for each, in their order. Nothing that was said is lost: a
result without a call becomes the user's words.
"""

from collections.abc import Iterator

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report, Turn
from portbroker.dialects.openai_responses.encode_assistant import AssistantItems
from portbroker.dialects.openai_responses.encode_content import encode_blocks, encode_output, text_part
from portbroker.dialects.tool_names import ToolNames

NO_RESULT = "(no result was recorded for this call)"
CONTINUE = "Continue."


class ItemEncoder:
    """What is the same for all turns of one call."""

    def __init__(self, options: Options, names: ToolNames, origin: str, report: Report) -> None:
        self._options = options
        self._names = names
        self._origin = origin
        self._report = report

    def encode(self, turns: list[Turn]) -> list[Json]:
        """The items, at least one."""
        items = [item for group in _groups(turns) for item in self._group(group)]
        if not items:
            self._report.add("added", "messages[0]")
            items.append(_message("user", [text_part(CONTINUE)]))
        elif items[-1]["type"] == "message" and items[-1]["role"] == "assistant":
            self._report.add("degraded", "prefill")
        return items

    def _group(self, turns: list[Turn]) -> list[Json]:
        """What the assistant says, the outputs of its calls, and all that follows."""
        said = AssistantItems(self._options, self._names, self._origin, self._report)
        said.read([block for turn in turns if turn.role == "assistant" for block in turn.blocks])
        rest = [turn for turn in turns if turn.role != "assistant"]
        results = [block for turn in rest for block in turn.blocks if turn.role == "user" and _is_result(block)]
        outputs, orphans = self._matched(said.calls, results)
        return [*said.items, *outputs, *orphans, *(item for turn in rest for item in self._told(turn))]

    def _matched(self, calls: list[tuple[str, str]], results: list[Block]) -> tuple[list[Json], list[Json]]:
        """One output for each call, and the results that no call waits for."""
        waiting: dict[str, list[Block]] = {}
        for block in results:
            waiting.setdefault(block.data["tool_use_id"], []).append(block)
        outputs = [self._output(name, kind, waiting.get(name)) for name, kind in calls]
        orphans = [self._orphan(block) for blocks in waiting.values() for block in blocks]
        return outputs, orphans

    def _output(self, name: str, kind: str, waiting: list[Block] | None) -> Json:
        if waiting:
            output = encode_output(waiting.pop(0), self._options, self._report)
        else:
            self._report.add("added", f"tool_result:{name}")
            output = NO_RESULT
        return {"type": kind, "call_id": name, "output": output}

    def _orphan(self, block: Block) -> Json:
        name = block.data["tool_use_id"]
        self._report.add("degraded", f"tool_result:{name}")
        output = encode_output(block, self._options, self._report)
        head = f"Result of tool call {name}:\n"
        if isinstance(output, str):
            return _message("user", [text_part(head + output)])
        return _message("user", [text_part(head), *output])

    def _told(self, turn: Turn) -> Iterator[Json]:
        """The message of a user's or a system turn; none where nothing is left to say."""
        blocks = [block for block in turn.blocks if not _is_result(block)]
        parts = encode_blocks(blocks, self._options, self._report)
        if parts:
            yield _message(self._options.system_role if turn.role == "system" else "user", parts)


def _message(role: str, parts: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": parts}


def _is_result(block: Block) -> bool:
    return block.kind == "tool_result"


def _groups(turns: list[Turn]) -> Iterator[list[Turn]]:
    """The turns in groups: what the assistant says without interruption, and all that follows until it speaks again."""
    group: list[Turn] = []
    for turn in turns:
        if turn.role == "assistant" and group and group[-1].role != "assistant":
            yield group
            group = []
        group.append(turn)
    if group:
        yield group
