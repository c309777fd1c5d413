"""Text, reasoning and calls told one after the other, in whatever order they come.

The one rule: while a call is not told to its end, what else is said waits; nothing but white space is lost by waiting.
"""

from collections.abc import Iterable
from typing import Final

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import Strand
from portbroker.dialects.openai_chat.serial import TEXT, THINKING, TOOL, SerialBlocks
from portbroker.dialects.openai_chat.stops import Stop
from portbroker.dialects.openai_chat.stream_tools import Calls

TEXT_STRAND: Final = ("text_delta", 0)
THINKING_STRAND: Final = ("thinking_delta", 0)


class Narrator:
    """Puts what is said into blocks. `_space` is white space before a text block that may never come, `_after` what
    waits until the calls are told."""

    __slots__ = ("_after", "_blocks", "_calls", "_omitted", "_space", "_stop")

    def __init__(self, context: AnswerContext, report: Report, stop: Stop) -> None:
        self._blocks = SerialBlocks(context.origin)
        self._calls = Calls(self._blocks, context, report)
        self._stop = stop
        self._omitted = context.thinking_omitted
        self._space = ""
        self._after: list[tuple[str, str]] = []

    @property
    def strand(self) -> Strand | None:
        """What more text, thought or arguments would be a delta of the open block and nothing else."""
        if self._blocks.kind == TOOL:
            return self._calls.strand
        if self._calls.unfinished:
            return None
        if self._blocks.kind == TEXT:
            return TEXT_STRAND
        return THINKING_STRAND if self._blocks.kind == THINKING and not self._omitted else None

    def argue(self, text: str) -> str:
        """More of the arguments that the strand is; what of it can be told."""
        return self._calls.go_on(text)

    @property
    def index(self) -> int:
        """The index of the newest block."""
        return self._blocks.index

    def take(self) -> list[Event]:
        """The events since the last time."""
        return self._blocks.take()

    def tell(self, *events: Event) -> None:
        """Events that belong to no block."""
        self._blocks.events += events

    def arguments(self) -> list[str]:
        """The arguments of all calls, in pieces."""
        return self._calls.written()

    def text(self, text: str) -> None:
        """A piece of the text. A block begins with the first visible character."""
        if self._waits(TEXT, text):
            return
        blocks = self._blocks
        if blocks.kind != TEXT:
            text = self._space + text
            if text.isspace():
                self._space = text
                return
            self._space = ""
            blocks.open({"type": TEXT, "text": ""})
        blocks.delta("text_delta", "text", text)

    def reason(self, text: str, details: object = None) -> None:
        """A piece of the reasoning, and what the provider wants back with it."""
        if text and not self._waits(THINKING, text):
            self._think(text)
        if details:
            self._blocks.details.add(details)

    def _think(self, text: str) -> None:
        blocks = self._blocks
        if blocks.kind != THINKING:
            if text.isspace():
                return
            blocks.open_thinking()
        if not self._omitted:
            blocks.delta("thinking_delta", "thinking", text)

    def cite(self, citations: list[Json]) -> bool:
        """Add citations to the open text; False when they have no place because none is open."""
        if citations and self._blocks.kind != TEXT:
            return False
        for citation in citations:
            self._blocks.delta("citations_delta", "citation", citation)
        return True

    def calls(self, deltas: Iterable[Json]) -> None:
        """Pieces of calls."""
        for delta in deltas:
            self._calls.feed(delta)
        if self._blocks.kind not in (TEXT, THINKING):
            self._space = ""

    def _waits(self, kind: str, text: str) -> bool:
        """Whether text or reasoning has to wait because calls are not told yet."""
        if not self._calls.unfinished:
            return False
        if not self._after and text.isspace():
            return True
        if self._calls.complete():
            self._finish_calls()
            return False
        self._after.append((kind, text))
        return True

    def _finish_calls(self) -> None:
        self._calls.finish(self._stop.cut)
        after, self._after = self._after, []
        for kind, text in after:
            (self.text if kind == TEXT else self._think)(text)

    def finish(self) -> bool:
        """Tell all that is left and end the last block. Whether there were calls."""
        self._finish_calls()
        self._blocks.carry_details()
        self._blocks.close()
        return self._calls.used
