"""An Anthropic provider's stream as canonical events, which are its own events.

The one rule: an event is handed on as the dict that it is. What is understood is checked, what is not is handed on.
"""

from collections.abc import Callable

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import TEXTS, Strand
from portbroker.dialects.faults import holds_fault, read_fault
from portbroker.errors import ProviderError

_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}

_STARTS: dict[str, type] = {"text": str, "thinking": str, "citations": list}
"""What encoders read of a block's start, where it is given."""


class StreamDecoder:
    """One answer in flight. Its state: whether it has begun and ended, and what was counted so far."""

    __slots__ = ("_begun", "_last", "finished", "finishing", "usage")

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self._begun = False
        self._last: Json | None = None  # the last event, if it was a delta
        self.finished = False
        self.finishing = False
        self.usage: Json | None = None

    def feed(self, chunk: Json) -> list[Event]:
        """The event itself; nothing for what is no event, and for what comes after the end."""
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if self.finished or not isinstance(kind, str):
            return self._stray(chunk)
        if kind == "content_block_delta" and self._begun:
            _check_delta(chunk)
            self._last = chunk
            return [chunk]
        self._last = None
        if kind == "message_start":
            return self._start(chunk)
        if kind == "error":
            raise read_fault(0, chunk)
        if kind.startswith(("content_block_", "message_")):
            self._notice(kind, chunk)
        return [chunk]

    @property
    def strand(self) -> Strand | None:
        """What the last event went on with: nothing of it is kept here, and so more of it may come at any time."""
        said = self.plain(self._last) if self._last is not None else None
        return said[0] if said is not None else None

    @property
    def index(self) -> int:
        return self._last["index"] if self._last is not None else 0

    def plain(self, chunk: object) -> tuple[Strand, str] | None:
        """The strand and the text of a delta that holds nothing else."""
        if not isinstance(chunk, dict) or len(chunk) != 3 or chunk.get("type") != "content_block_delta":
            return None
        index, delta = chunk.get("index"), chunk.get("delta")
        if type(index) is not int or not isinstance(delta, dict) or len(delta) != 2:
            return None
        kind = delta.get("type")
        if not isinstance(kind, str) or kind not in TEXTS:
            return None
        text = delta.get(TEXTS[kind])
        return ((kind, index), text) if isinstance(text, str) and text else None

    @property
    def take(self) -> Callable[[str], str]:
        return str

    def done(self) -> list[Event]:
        """Anthropic never says `[DONE]`; where a server does, it ends an answer that only lacks its last event."""
        if self.finished or not self.finishing:
            return []
        self.finished = True
        return [{"type": "message_stop"}]

    def finish(self) -> list[Event]:
        """The body ended; raises unless `message_stop` was seen, or nothing else was lacking."""
        if not (self.finished or self.finishing):
            raise ProviderError("the provider's stream ended before its answer did")
        return self.done()

    def _stray(self, chunk: object) -> list[Event]:
        if not self.finished and holds_fault(chunk):
            raise read_fault(0, chunk)
        return []

    def _start(self, chunk: Json) -> list[Event]:
        message = chunk.get("message")
        if not isinstance(message, dict):
            raise ProviderError("the provider's message_start has no message")
        if self._begun:
            return []  # a second start tells nothing that may still change
        self._begun = True
        self._count(message.get("usage"))
        if isinstance(message.get("id"), str) and isinstance(message.get("model"), str):
            return [chunk]
        named = {name: message[name] if isinstance(message.get(name), str) else "" for name in ("id", "model")}
        return [{**chunk, "message": {**message, **named}}]

    def _notice(self, kind: str, chunk: Json) -> None:
        """Take from an event what the end of the stream depends on."""
        if not self._begun:
            raise ProviderError(f"the provider's stream has a {kind} before its message_start")
        if kind == "content_block_start":
            _check_start(chunk)
        elif kind == "content_block_stop":
            _index(chunk)
        elif kind == "message_delta":
            self._count(chunk.get("usage"))
            delta = chunk.get("delta")
            if not isinstance(delta, dict):
                raise ProviderError("the provider's message_delta has no delta")
            self.finishing = self.finishing or delta.get("stop_reason") is not None
        elif kind == "message_stop":
            self.finished = True

    def _count(self, usage: object) -> None:
        """Counts are cumulative: what comes later holds, but nothing is forgotten."""
        if isinstance(usage, dict):
            self.usage = {**(self.usage or {}), **{name: count for name, count in usage.items() if count is not None}}


def _index(chunk: Json) -> None:
    if type(chunk.get("index")) is not int:
        raise ProviderError(f"the provider's {chunk['type']} has no index")


def _check_start(chunk: Json) -> None:
    _index(chunk)
    block = chunk.get("content_block")
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(kind, str):
        raise ProviderError("the provider's content_block_start has no block")
    if kind == "tool_use" and not (isinstance(block.get("id"), str) and isinstance(block.get("name"), str)):
        raise ProviderError("the provider's tool_use has no id or no name")
    for name, wanted in _STARTS.items():
        if block.get(name) is not None and not isinstance(block[name], wanted):
            raise ProviderError(f"the provider's {kind} begins with no valid {name}")


def _check_delta(chunk: Json) -> None:
    _index(chunk)
    delta = chunk.get("delta")
    kind = delta.get("type") if isinstance(delta, dict) else None
    if not isinstance(delta, dict) or not isinstance(kind, str):
        raise ProviderError("the provider's content_block_delta has no delta")
    name = _DELTAS.get(kind)
    if name is not None and not isinstance(delta.get(name), str):
        raise ProviderError(f"the provider's {kind} has no {name}")
