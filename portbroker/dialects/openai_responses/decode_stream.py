"""A Responses provider's stream as canonical events.

The one rule: items are told one after the other. What comes of another item while one is live waits until that is done.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import Strand
from portbroker.dialects.faults import holds_fault, read_fault
from portbroker.dialects.openai_responses.live_item import Blocks, LiveItem
from portbroker.dialects.openai_responses.read_items import Reading, message_id, refuse_failure, text_of
from portbroker.dialects.openai_responses.usage import read_usage
from portbroker.dialects.usage import estimated_usage, first_usage
from portbroker.errors import ProviderError

_WAITING_LIMIT = 100_000
"""Events that may wait for a live item; more of them is no answer."""


class StreamDecoder:
    """One answer in flight; see `portbroker.dialects.StreamDecoder`."""

    __slots__ = (
        "_blocks", "_context", "_done", "_live", "_place", "_reading", "_started", "_uses_tools", "_waiting",
        "finished", "finishing", "usage",
    )  # fmt: skip

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self.finished = False
        self.finishing = False
        self.usage: Json | None = None
        self._context = context
        self._reading = Reading(context, report)
        self._blocks = Blocks()
        self._started = False
        self._live: LiveItem | None = None
        self._place: object = None  # the output index of the live item
        self._done: set[Any] = set()  # those of the items that are told
        self._waiting: list[Json] = []
        self._uses_tools = False

    def feed(self, chunk: Json) -> list[Event]:
        """The events that a chunk brings; nothing for what comes after the end."""
        if not self.finished:
            self._read(chunk)
        return self._blocks.take()

    @property
    def strand(self) -> Strand | None:
        """None: every chunk is looked at."""
        return None

    @property
    def index(self) -> int:
        return 0

    def plain(self, chunk: object) -> tuple[Strand, str] | None:
        return None

    @property
    def take(self) -> Callable[[str], str]:
        return str

    def done(self) -> list[Event]:
        """The provider said `[DONE]`, which says nothing here: an answer ends with its response."""
        return []

    def finish(self) -> list[Event]:
        """The body ended."""
        if not self.finished:
            raise ProviderError("the provider ended its stream before the answer was complete")
        return []

    # one chunk

    def _read(self, chunk: object) -> None:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if not isinstance(chunk, dict) or not isinstance(kind, str) or kind == "error":
            if holds_fault(chunk):
                raise read_fault(0, chunk)
            return
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, chunk)
        elif self._live is not None and "output_index" in chunk:
            self._of_item(kind, chunk)

    def _of_item(self, kind: str, chunk: Json) -> None:
        assert self._live is not None
        if chunk.get("output_index") == self._place:
            self._live.feed(kind, chunk)
        else:
            self._wait(chunk)

    def _wait(self, chunk: Json) -> None:
        self._waiting.append(chunk)
        if len(self._waiting) > _WAITING_LIMIT:
            raise ProviderError("the provider's stream never finishes an item")

    def _response(self, chunk: Json) -> Json:
        response = chunk.get("response")
        return response if isinstance(response, dict) else {}

    def _begin(self, chunk: Json) -> None:
        self._start(self._response(chunk))

    def _start(self, response: Json) -> None:
        if self._started:
            return
        self._started = True
        message: Json = {
            "id": message_id(response.get("id")),
            "type": "message",
            "role": "assistant",
            "model": text_of(response.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": first_usage(self._context.estimated()),
        }
        self._blocks.events += [{"type": "message_start", "message": message}, {"type": "ping"}]

    # items

    def _added(self, chunk: Json) -> None:
        if self._live is not None:
            self._wait(chunk)
            return
        self._start({})
        item = chunk.get("item")
        self._place = chunk.get("output_index")
        self._live = LiveItem(item if isinstance(item, dict) else {}, self._reading, self._blocks)

    def _item_done(self, chunk: Json) -> None:
        place = chunk.get("output_index")
        if self._live is None:
            self._tell(chunk.get("item"), place)
        elif place != self._place:
            self._wait(chunk)
        else:
            item = chunk.get("item")
            self._live.finish(item if isinstance(item, dict) else {}, f"output[{place}]")
            self._end_item()

    def _end_item(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            self._done.add(_key(self._place))
            self._uses_tools = self._uses_tools or (live.is_call and live.told)
        waiting, self._waiting = self._waiting, []
        for chunk in waiting:
            self._read(chunk)

    def _tell(self, item: object, place: object) -> None:
        """An item of which only the whole came; nothing when it was told before."""
        if _key(place) in self._done:
            return
        self._start({})
        self._done.add(_key(place))
        for block in self._reading.blocks(item, f"output[{place}]"):
            self._blocks.tell(block)
            self._uses_tools = self._uses_tools or block["type"] == "tool_use"

    # the end

    def _failed(self, chunk: Json) -> None:
        refuse_failure({**self._response(chunk), "status": "failed"})

    def _end(self, chunk: Json) -> None:
        response = self._response(chunk)
        refuse_failure(response)
        self._start(response)
        while self._live is not None:
            self._live.abandon()
            self._end_item()
        output = response.get("output")
        for place, item in enumerate(output if isinstance(output, list) else ()):
            self._tell(item, place)
        self.finished = self.finishing = True
        self._conclude(response)

    def _conclude(self, response: Json) -> None:
        tier = response.get("service_tier")
        self.usage = read_usage(response.get("usage"), tier)
        usage = self.usage or estimated_usage(self._context.estimated(), (), tier)
        stop = self._reading.stop(response, self._uses_tools)
        self._blocks.events += [{"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]

    _HANDLERS: ClassVar[dict[str, Callable[["StreamDecoder", Json], None]]] = {
        "response.created": _begin,
        "response.queued": _begin,
        "response.in_progress": _begin,
        "response.output_item.added": _added,
        "response.output_item.done": _item_done,
        "response.completed": _end,
        "response.incomplete": _end,
        "response.failed": _failed,
        "response.cancelled": _failed,
    }


def _key(place: object) -> object:
    """An output index as something that can be remembered, whatever the provider sent."""
    return place if isinstance(place, int) else str(place)
