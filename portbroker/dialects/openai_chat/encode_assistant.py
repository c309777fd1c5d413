"""An assistant's turn as chat messages: one, or more where a server tool gave its result in the middle.

The one rule: a message with nothing to say is left out, never sent empty.
"""

from typing import Final

import orjson

from portbroker.config.options import Options
from portbroker.conversation import Block, Json, Report
from portbroker.dialects.openai_chat.encode_parts import cache_mark, content_of, text_part
from portbroker.dialects.openai_chat.encode_results import encode_server_result
from portbroker.dialects.openai_chat.encode_thinking import (
    THINKING,
    encode_thinking,
    sign_calls,
    thought_signatures,
)
from portbroker.dialects.tool_names import ToolNames
from portbroker.dialects.written import compact, summary

_SERVER_CALLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})


class AssistantMessages:
    """The messages of one turn as they are put together, block by block."""

    def __init__(self, options: Options, names: ToolNames, origin: str, report: Report) -> None:
        self._options = options
        self._names = names
        self._origin = origin
        self._report = report
        self._signatures: dict[str, str] = {}
        self._messages: list[Json] = []
        self._begin()

    def _begin(self) -> None:
        self._texts: list[Json] = []
        self._calls: list[Json] = []
        self._thoughts: list[Json] = []
        self._speaking: str | None = None  # the place of the message whose text goes on

    def encode(self, blocks: list[Block]) -> list[Json]:
        """The messages of a turn's blocks."""
        if self._options.state == "gemini":
            self._signatures = thought_signatures(blocks, self._origin)
        for block in blocks:
            kind = block.data["type"]
            if kind == "text":
                self._add_text(block)
            else:
                self._speaking = None
                if kind == "tool_use":
                    self._add_call(block)
                else:
                    self._add(kind, block)
        self._close()
        return self._messages

    def _add(self, kind: str, block: Block) -> None:
        if kind in THINKING:
            self._thoughts.append(block.data)
        elif kind in _SERVER_CALLS:
            self._report.add("degraded", block.path)
            self._add_call(block)
        elif kind.endswith("_tool_result"):
            self._close()
            self._begin()
            self._messages.append(encode_server_result(block))
        elif kind == "compaction" and block.data.get("content"):
            self._texts.append(text_part(summary(block.data)))
        else:
            self._report.add("dropped", block.path)

    def _add_text(self, block: Block) -> None:
        """Text of one message follows without a gap: the API splits one text around its citations."""
        text = block.data["text"]
        if self._speaking == block.place:
            self._texts[-1]["text"] += text
        else:
            self._speaking = block.place
            self._texts.append(text_part(text))
        if self._options.cache != "none":
            self._texts[-1].update(cache_mark(block.data, self._options))

    def _add_call(self, block: Block) -> None:
        data = block.data
        function = {"name": self._names.put(data["name"]), "arguments": _arguments(block)}
        self._calls.append({"id": data["id"], "type": "function", "function": function})

    def _close(self) -> None:
        """End the message under way, and send it if it says anything."""
        texts = [part for part in self._texts if part["text"].strip()]
        thinking: Json = {}
        if self._thoughts or self._options.reasoning_required_with_tools is not None:
            thinking = encode_thinking(self._thoughts, self._options, with_calls=bool(self._calls), origin=self._origin)
        if texts or self._calls or thinking:
            self._messages.append(self._message(texts, thinking))

    def _message(self, texts: list[Json], thinking: Json) -> Json:
        content = content_of(texts) if texts else self._options.null_content if self._calls else ""
        message: Json = {"role": "assistant", "content": content, **thinking}
        if self._calls:
            if self._options.state == "gemini":
                sign_calls(self._calls, self._signatures)
            message["tool_calls"] = self._calls
        return message


def _arguments(block: Block) -> str:
    try:
        return orjson.dumps(block.data["input"]).decode()
    except TypeError:
        return compact(block.data["input"], f"{block.path}.input")  # which says where it is
