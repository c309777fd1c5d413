"""Content blocks as canonical stream events: the one place that opens and closes them.

The one rule: one block open at a time, indices without gaps, a signature before a thinking block ends.
"""

from portbroker.conversation import Event, Json
from portbroker.dialects.openai_chat.answer_parts import Details

THINKING, TEXT, TOOL = "thinking", "text", "tool_use"


class SerialBlocks:
    """The blocks of one answer. `kind` is that of the open block, "" when none is; events wait in `events`."""

    __slots__ = ("_origin", "details", "events", "index", "kind")

    def __init__(self, origin: str) -> None:
        self.events: list[Event] = []
        self.kind = ""
        self.index = -1
        self.details = Details()
        self._origin = origin

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

    def open_thinking(self) -> None:
        self.open({"type": THINKING, "thinking": "", "signature": ""})

    def delta(self, kind: str, name: str, value: object) -> None:
        delta = {"type": kind, name: value}
        self.events.append({"type": "content_block_delta", "index": self.index, "delta": delta})

    def close(self) -> None:
        """End the open block, if there is one."""
        if self.kind == THINKING:
            self.delta("signature_delta", "signature", self.details.seal(self._origin))
        if self.kind:
            self.kind = ""
            self.events.append({"type": "content_block_stop", "index": self.index})

    def carry(self, envelope: str) -> None:
        """An empty thinking block that brings a provider's state back."""
        self.open_thinking()
        self.kind = ""
        self.delta("signature_delta", "signature", envelope)
        self.events.append({"type": "content_block_stop", "index": self.index})

    def carry_details(self) -> None:
        """The same for reasoning details that came without text or after it; nothing when there are none."""
        if self.kind == THINKING:
            self.close()
        if self.details.bears_state:
            self.close()
            self.carry(self.details.seal(self._origin))
