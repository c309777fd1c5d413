"""The turns of a conversation as chat messages, in order, with nothing empty among them.

The one rule: neighbours of one role are one turn before anything else is done, since results of one turn's calls may
be spread over several messages.
"""

from itertools import takewhile

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report, Turn
from portbroker.dialects.openai_chat.encode_assistant import AssistantMessages
from portbroker.dialects.openai_chat.encode_parts import content_of, encode_block, encode_blocks, text_of
from portbroker.dialects.openai_chat.encode_results import encode_result
from portbroker.dialects.tool_names import ToolNames


class TurnEncoder:
    """What is the same for all turns of one call."""

    def __init__(self, options: Options, names: ToolNames, origin: str, report: Report) -> None:
        self._options = options
        self._names = names
        self._origin = origin
        self._report = report

    def encode(self, turns: list[Turn]) -> list[Json]:
        """The messages of a conversation, system prompt apart. Calls and results may still lack each other."""
        messages: list[Json] = []
        for turn in self._merged(turns):
            messages += self._messages(turn)
        return messages

    def led(self, turns: list[Turn]) -> list[Turn]:
        """The system messages that a conversation begins with, where the provider takes only one and that first."""
        if self._options.mid_system != "user_reminder":
            return []
        return list(takewhile(lambda turn: turn.role == "system", turns))

    def system(self, blocks: list[Block]) -> list[Json]:
        """The parts of a system prompt: its texts. Nothing else can be in one."""
        parts: list[Json] = []
        for block in blocks:
            if block.kind == "text":
                parts.extend(encode_block(block.data, block.path, self._options, self._report))
            else:
                self._report.add("dropped", block.path)
        return parts

    def _merged(self, turns: list[Turn]) -> list[Turn]:
        merged: list[Turn] = []
        role = ""
        for turn in turns:
            if turn.role == "system" and self._options.mid_system == "user_reminder":
                turn = self._reminder(turn)
            if not turn.blocks:
                continue
            if turn.role == role != "system":
                last = merged[-1]
                turn = Turn(last.role, [*last.blocks, *turn.blocks], last.path, last.data)
                merged.pop()
            merged.append(turn)
            role = turn.role
        return merged

    def _reminder(self, turn: Turn) -> Turn:
        """A system message as words in the user's turn, for templates that accept only a leading system message."""
        text = text_of(content_of(self.system(turn.blocks)))
        if not text:
            return Turn("user", [], turn.path)
        reminder = {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}
        return Turn("user", [Block(reminder, turn.path)], turn.path)

    def _messages(self, turn: Turn) -> list[Json]:
        if turn.role == "assistant":
            return AssistantMessages(self._options, self._names, self._origin, self._report).encode(turn.blocks)
        if turn.role == "user":
            return self._user(turn.blocks)
        parts = self.system(turn.blocks)
        return [{"role": "system", "content": content_of(parts)}] if parts else []

    def _user(self, blocks: list[Block]) -> list[Json]:
        """Results first, whatever the order of the blocks was; then what had to leave them, then all the rest."""
        messages: list[Json] = []
        parts: list[Json] = []
        rest: list[Block] = []
        for block in blocks:
            if block.data["type"] == "tool_result":
                message, attachments = encode_result(block, self._options, self._report)
                messages.append(message)
                parts.extend(attachments)
            else:
                rest.append(block)
        if rest:
            parts.extend(encode_blocks(rest, self._options, self._report))
        if parts:
            messages.append({"role": "user", "content": content_of(parts)})
        return messages
