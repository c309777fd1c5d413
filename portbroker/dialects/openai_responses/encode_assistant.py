"""An assistant's turn as items: what it thought, said and called, in its own order.

The one rule: reasoning goes back only to where it came from, and never as the last thing of a turn: the API refuses
reasoning that leads to nothing.
"""

from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects import envelope
from portbroker.dialects.results import failed, rendered
from portbroker.dialects.tool_names import ToolNames
from portbroker.dialects.written import compact, summary

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_SERVER_CALLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})


class AssistantItems:
    """The items of one turn. `calls` are its calls that wait for a result, each with the type of that."""

    def __init__(self, options: Options, names: ToolNames, origin: str, report: Report) -> None:
        self.items: list[Json] = []
        self.calls: list[tuple[str, str]] = []
        self._options = options
        self._names = names
        self._origin = origin
        self._report = report

    def read(self, blocks: list[Block]) -> None:
        """Add what the blocks say."""
        for block in blocks:
            self._add(block)
        while self.items and self.items[-1]["type"] == "reasoning":
            self.items.pop()

    def _add(self, block: Block) -> None:
        kind = block.kind
        if kind == "text":
            self._say(block.data["text"])
        elif kind == "tool_use":
            self._call(block)
        elif kind in _THINKING:
            self._reason(block.data)
        elif kind in _SERVER_CALLS:
            self._report.add("degraded", block.path)
            self._server_call(block)
        elif kind.endswith("_tool_result"):
            self._server_result(block)
        elif kind == "compaction" and block.data.get("content"):
            self._say(summary(block.data))
        else:
            self._report.add("dropped", block.path)

    def _say(self, text: str) -> None:
        """Texts that follow each other are parts of one message."""
        if not text.strip():
            return
        part = {"type": "output_text", "text": text, "annotations": []}
        if self.items and self.items[-1]["type"] == "message":
            self.items[-1]["content"].append(part)
        else:
            self.items.append({"type": "message", "role": "assistant", "content": [part]})

    def _call(self, block: Block) -> None:
        data = block.data
        call = {"call_id": data["id"], "name": self._names.put(data["name"])}
        text = data["input"].get("input")
        if data.get("_custom") is True and isinstance(text, str):
            self.items.append({"type": "custom_tool_call", **call, "input": text})
            self.calls.append((data["id"], "custom_tool_call_output"))
        else:
            arguments = compact(data["input"], f"{block.path}.input")
            self.items.append({"type": "function_call", **call, "arguments": arguments})
            self.calls.append((data["id"], "function_call_output"))

    def _server_call(self, block: Block) -> None:
        self._call(block)
        self.calls.pop()  # its result stands in this turn

    def _server_result(self, block: Block) -> None:
        data = block.data
        text = rendered(data.get("content"), f"{block.path}.content")
        output = failed(text) if data.get("is_error") is True else text
        self.items.append({"type": "function_call_output", "call_id": data["tool_use_id"], "output": output})

    def _reason(self, data: Json) -> None:
        """A reasoning item again, from the envelope that it travelled in; any other thinking goes in silence."""
        state = envelope.unwrap(envelope.mark(data), self._origin) or {}
        sealed, name = state.get("v"), state.get("id")
        if state.get("k") != "oe" or not isinstance(sealed, str) or not isinstance(name, str):
            return
        text = data.get("thinking")
        told = [{"type": "summary_text", "text": text}] if text else []
        self.items.append({"type": "reasoning", "id": name, "summary": told, "encrypted_content": sealed})
