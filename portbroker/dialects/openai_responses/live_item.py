"""One output item of a Responses stream as canonical events, while it arrives.

The one rule: what only the finished item holds is told when it is done; nothing is told twice.
"""

from collections.abc import Callable
from typing import ClassVar

import orjson

from portbroker.conversation import Event, Json, block_events
from portbroker.dialects.envelope import PLAIN
from portbroker.dialects.openai_responses.read_items import Reading, citation, sealed, text_of, tool_use


class Blocks:
    """The blocks of one answer: one open at a time, indices without gaps. Events wait in `events`."""

    __slots__ = ("events", "index", "kind")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.index = -1
        self.kind = ""

    def take(self) -> list[Event]:
        """The events since the last time."""
        events, self.events = self.events, []
        return events

    def open(self, block: Json) -> None:
        """Start a block; the one that is open ends."""
        self.close()
        self.index += 1
        self.kind = block["type"]
        self.events.append({"type": "content_block_start", "index": self.index, "content_block": block})

    def delta(self, kind: str, name: str, value: object) -> None:
        delta = {"type": kind, name: value}
        self.events.append({"type": "content_block_delta", "index": self.index, "delta": delta})

    def close(self) -> None:
        """End the open block, if there is one."""
        if self.kind:
            self.kind = ""
            self.events.append({"type": "content_block_stop", "index": self.index})

    def tell(self, block: Json) -> None:
        """A whole block at once."""
        self.close()
        self.index += 1
        self.events += block_events(self.index, block)


class LiveItem:
    """One item in flight. `told` says that something of it went out; `said` is the text of its open part."""

    __slots__ = ("_blocks", "_kind", "_reading", "_source", "_space", "said", "told")

    def __init__(self, item: Json, reading: Reading, blocks: Blocks) -> None:
        self._kind = text_of(item.get("type"))
        self._reading = reading
        self._blocks = blocks
        self._source = ""  # which of its texts a reasoning item is told from: some servers send both
        self._space = ""  # white space before a text block that may never come
        self.said: list[str] = []
        self.told = False
        if self._kind in ("function_call", "custom_tool_call") and item.get("name"):
            self._open_call(item)

    def feed(self, event: str, chunk: Json) -> None:
        """Tell what an event of this item says."""
        handler = self._HANDLERS.get(event)
        if handler is not None:
            handler(self, chunk)

    def finish(self, item: Json, path: str) -> None:
        """The item is complete: tell what was not told, and end its block."""
        if not self.told:
            for block in self._reading.blocks(item, path):
                self._blocks.tell(block)
                self.told = True
        elif self._kind == "reasoning":
            self._seal(item)
        elif self._kind == "custom_tool_call" and self._blocks.kind:
            self._end_free_text(item)
        elif self._kind == "function_call" and self._blocks.kind and not self.said:
            given = self._reading.blocks(item, path)[0]["input"]
            self._blocks.delta("input_json_delta", "partial_json", orjson.dumps(given).decode())
        self._blocks.close()

    @property
    def is_call(self) -> bool:
        return self._kind in ("function_call", "custom_tool_call")

    # text

    def _part(self, chunk: Json) -> None:
        if self._blocks.kind == "text":
            self._blocks.close()
        self.said = []

    def _text(self, chunk: Json) -> None:
        self._say(text_of(chunk.get("delta")))

    def _refusal(self, chunk: Json) -> None:
        delta = text_of(chunk.get("delta"))
        self._reading.refusal += delta
        self._say(delta)

    def _say(self, text: str) -> None:
        """A piece of text. A block begins with the first visible character."""
        if self._blocks.kind != "text":
            text = self._space + text
            if not text or text.isspace():
                self._space = text
                return
            self._space = ""
            self._blocks.open({"type": "text", "text": ""})
        if text:
            self.told = True
            self.said.append(text)
            self._blocks.delta("text_delta", "text", text)

    def _cite(self, chunk: Json) -> None:
        annotation = chunk.get("annotation")
        found = citation(annotation, "".join(self.said)) if isinstance(annotation, dict) else None
        if found and self._blocks.kind == "text":
            self._blocks.delta("citations_delta", "citation", found)

    # reasoning

    def _summary_part(self, chunk: Json) -> None:
        if self._source == "summary":
            self._think("\n\n")

    def _summary(self, chunk: Json) -> None:
        self._source = self._source or "summary"
        if self._source == "summary":
            self._think(text_of(chunk.get("delta")))

    def _thought(self, chunk: Json) -> None:
        self._source = self._source or "content"
        if self._source == "content":
            self._think(text_of(chunk.get("delta")))

    def _think(self, text: str) -> None:
        context = self._reading.context
        if not text or not context.thinking_requested:
            return
        if self._blocks.kind != "thinking":
            self._blocks.open({"type": "thinking", "thinking": "", "signature": ""})
        self.told = True
        if not context.thinking_omitted:
            self._blocks.delta("thinking_delta", "thinking", text)

    def _seal(self, item: Json) -> None:
        self._blocks.delta("signature_delta", "signature", sealed(item, self._reading.context))

    # calls

    def _open_call(self, item: Json) -> None:
        self.told = True
        self._blocks.open(tool_use(item, self._reading.context))

    def _arguments(self, chunk: Json) -> None:
        if (piece := text_of(chunk.get("delta"))) and self._blocks.kind == "tool_use":
            self.said.append(piece)
            self._blocks.delta("input_json_delta", "partial_json", piece)

    def _free_text(self, chunk: Json) -> None:
        """A piece of free text as a piece of an object with one string."""
        if (piece := text_of(chunk.get("delta"))) and self._blocks.kind == "tool_use":
            quoted = orjson.dumps(piece).decode()[1:-1]
            self._blocks.delta("input_json_delta", "partial_json", quoted if self.said else f'{{"input":"{quoted}')
            self.said.append(piece)

    def _end_free_text(self, item: Json) -> None:
        if self.said:
            self._blocks.delta("input_json_delta", "partial_json", '"}')
        else:
            whole = orjson.dumps({"input": text_of(item.get("input"))}).decode()
            self._blocks.delta("input_json_delta", "partial_json", whole)

    def abandon(self) -> None:
        """The answer ended before the item did."""
        if self._kind == "custom_tool_call" and self.said:
            self._end_free_text({})
        if self._kind == "reasoning" and self._blocks.kind:
            self._blocks.delta("signature_delta", "signature", PLAIN)
        self._blocks.close()

    _HANDLERS: ClassVar[dict[str, Callable[["LiveItem", Json], None]]] = {
        "response.content_part.added": _part,
        "response.output_text.delta": _text,
        "response.refusal.delta": _refusal,
        "response.output_text.annotation.added": _cite,
        "response.reasoning_summary_part.added": _summary_part,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _thought,
        "response.function_call_arguments.delta": _arguments,
        "response.custom_tool_call_input.delta": _free_text,
    }
