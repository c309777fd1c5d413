"""A canonical stream as the events of a Responses answer.

The one rule: one item is open at a time. Text blocks that follow each other are parts of one message, so a message
ends only when something else begins.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import TEXTS
from portbroker.dialects.envelope import PLAIN, is_envelope, wrap
from portbroker.dialects.openai_responses.errors import failure
from portbroker.dialects.openai_responses.told_items import ToldCall, ToldMessage, ToldReasoning
from portbroker.dialects.openai_responses.told_response import ToldResponse
from portbroker.dialects.openai_responses.wire import Wire
from portbroker.errors import GatewayError

_PING = b": ping\n\n"
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class StreamEncoder:
    """One answer in flight, for a Responses client. `output` is what of it is finished."""

    __slots__ = (
        "_block", "_call", "_context", "_hidden", "_message", "_reasoning", "_report", "_response", "_signature",
        "_stop", "_usage", "_wire", "output",
    )  # fmt: skip

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self._context = context
        self._report = report
        self._wire = Wire()
        self._response: ToldResponse | None = None
        self.output: list[Json] = []
        self._block: Json = {}  # how the open block began; nothing when none is open that the client sees
        self._message: ToldMessage | None = None
        self._reasoning: ToldReasoning | None = None
        self._call: ToldCall | None = None
        self._hidden: list[str] = []  # thinking that the client is not shown
        self._signature = ""
        self._stop: Any = None
        self._usage: Json = {}

    def feed(self, event: Event) -> bytes:
        """The events that come of one; nothing for events that are not known."""
        handler = self._HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)
            return self._wire.take()
        return _PING if event["type"] == "ping" else b""

    def pen(self, kind: str, index: int) -> Callable[[str], bytes]:
        """Writes the same for the deltas of a block that hold nothing but a text."""
        name = TEXTS[kind]
        return lambda text: self.feed(
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}
        )

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """The end of an answer that failed: what is open stays open, and what was finished counts."""
        if self._response is None:
            self._begin("", "")
        assert self._response is not None
        self._wire.tell_response("failed", self._response.failed(self.output, failure(error)))
        return self._wire.take()

    def ping(self) -> bytes:
        return _PING

    # the frame

    def _start(self, event: Event) -> None:
        message = event["message"]
        self._begin(message.get("id") or "", message.get("model") or "")
        self._count(message.get("usage"))

    def _begin(self, message_id: str, model: str) -> None:
        self._response = ToldResponse(message_id, model, self._context)
        begun = self._response.begun()
        self._wire.tell_response("created", begun)
        self._wire.tell_response("in_progress", begun)

    def _message_delta(self, event: Event) -> None:
        stop = event["delta"].get("stop_reason")
        self._stop = self._stop if stop is None else stop
        self._count(event.get("usage"))

    def _count(self, usage: Any) -> None:
        """Counts are cumulative: what comes later holds."""
        if isinstance(usage, dict):
            self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _end(self, event: Event) -> None:
        self._close_message()
        if self._stop == "pause_turn":
            self._report.add("degraded", "stop_reason")
        status, response = self.ended()
        self._wire.tell_response(status, response)

    def ended(self) -> tuple[str, bytes]:
        """The status and the whole response, once all of it was fed."""
        assert self._response is not None
        return self._response.ended(self.output, self._stop, self._usage)

    # blocks

    def _block_start(self, event: Event) -> None:
        block = event["content_block"]
        kind = block["type"]
        if kind == "text":
            self._block = block
            self._open_message().begin_part()
            self._say(block.get("text") or "")
            self._cite(block.get("citations") or (), event["index"])
        elif kind == "tool_use":
            self._block = block
            self._close_message()
            self._call = ToldCall(self._wire, len(self.output), block, self._context)
        elif kind in _THOUGHTS and self._context.thinking_requested:
            self._block = block
            self._signature = block.get("signature") or ""
            self._think(block.get("thinking") or "")

    def _open_message(self) -> ToldMessage:
        if self._message is None:
            self._message = ToldMessage(self._wire, len(self.output))
        return self._message

    def _close_message(self) -> None:
        if self._message is not None:
            self.output.append(self._message.close())
            self._message = None

    def _delta(self, event: Event) -> None:
        if not self._block:
            return
        delta = event["delta"]
        kind = delta["type"]
        if kind == "text_delta":
            self._say(delta["text"])
        elif kind == "input_json_delta":
            if self._call is not None and delta["partial_json"]:
                self._call.argue(delta["partial_json"])
        elif kind == "thinking_delta":
            self._think(delta["thinking"])
        elif kind == "signature_delta":
            self._signature += delta["signature"]
        elif kind == "citations_delta":
            self._cite((delta.get("citation"),), event["index"])

    def _block_stop(self, event: Event) -> None:
        kind = self._block.get("type")
        if kind == "text" and self._message is not None:
            self._message.end_part()
        elif kind == "tool_use" and self._call is not None:
            item, kept = self._call.close()
            self.output.append(item)
            self._call = None
            if not kept:
                self._report.add("invalid", f"content[{event['index']}].input")
        elif kind in _THOUGHTS:
            self._end_thought()
        self._block = {}

    # text

    def _say(self, text: str) -> None:
        if text and self._message is not None:
            self._message.text(text)

    def _cite(self, citations: Any, index: int) -> None:
        for citation in citations:
            web = isinstance(citation, dict) and citation.get("type") == "web_search_result_location"
            if web and self._message is not None and isinstance(citation.get("url"), str):
                title = citation.get("title")
                self._message.cite(citation["url"], title if isinstance(title, str) else "")
            else:
                self._report.add("dropped", f"content[{index}].citations")

    # thinking

    def _think(self, text: str) -> None:
        if not text:
            return
        if self._context.thinking_hidden:
            self._hidden.append(text)
        else:
            self._open_reasoning().think(text)

    def _open_reasoning(self) -> ToldReasoning:
        """The open reasoning item. One begins only when there is something to tell or to carry."""
        if self._reasoning is None:
            self._close_message()
            self._reasoning = ToldReasoning(self._wire, len(self.output))
        return self._reasoning

    def _end_thought(self) -> None:
        sealed = self._sealed() if self._context.encrypted else None
        if sealed not in (None, PLAIN) or self._reasoning is not None:
            self.output.append(self._open_reasoning().close(sealed))
        self._reasoning, self._hidden, self._signature = None, [], ""

    def _sealed(self) -> str | None:
        """What the client carries back: an envelope as it is, or one around what Anthropic signed."""
        if self._block["type"] == "redacted_thinking":
            data = self._block.get("data")
            return data if is_envelope(data) else wrap("an", r=data)
        hidden = "".join(self._hidden)
        if self._signature and not is_envelope(self._signature):
            return wrap("an", s=self._signature, **({"t": hidden} if hidden else {}))
        if hidden and self._signature in ("", PLAIN):
            return wrap("rc", t=hidden)
        return self._signature or None

    _HANDLERS: ClassVar[dict[str, Callable[["StreamEncoder", Event], None]]] = {
        "content_block_delta": _delta,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_start": _start,
        "message_delta": _message_delta,
        "message_stop": _end,
    }
