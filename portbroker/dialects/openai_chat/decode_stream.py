"""A chat provider's stream as canonical events.

What must be remembered between chunks has one place each: `SerialBlocks` (which block is open), `Calls` (the tool
calls), `Stop` (what was said of the end), `ThinkTags`, and here the text that waits for its turn. The one rule: a chunk
may hold anything; only an error that it reports raises.
"""

from typing import Any

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects.openai_chat.answer_parts import citations, flat, named_reasoning, read_content
from portbroker.dialects.openai_chat.identity import message_id, model_name
from portbroker.dialects.openai_chat.reported_errors import refuse_error, refuse_failure
from portbroker.dialects.openai_chat.serial import TEXT, THINKING, SerialBlocks
from portbroker.dialects.openai_chat.stops import Stop
from portbroker.dialects.openai_chat.stream_tools import Calls
from portbroker.dialects.openai_chat.think_tags import ThinkTags
from portbroker.dialects.openai_chat.usage import estimated_usage, first_usage, read_usage
from portbroker.errors import ProviderError

_DELTA = "choices[0].delta"


class StreamDecoder:
    """One answer in flight; see `portbroker.dialects.StreamDecoder`."""

    __slots__ = (
        "_after", "_blocks", "_calls", "_context", "_flowing", "_report", "_said", "_space", "_started", "_stop",
        "_tags", "_tier", "_uncounted", "finished", "finishing", "usage",
    )  # fmt: skip

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self.finished = False
        self.finishing = False
        self.usage: Json | None = None
        self._context = context
        self._report = report
        self._blocks = SerialBlocks(context.origin)
        self._calls = Calls(self._blocks, context, report)
        self._stop = Stop()
        self._tags = ThinkTags() if context.think_tags else None
        self._tier: object = None
        self._started = False
        self._flowing = False  # a text block is open and nothing is held: text goes straight through
        self._space = ""  # white space before a text block that may never come
        self._after: list[tuple[str, str]] = []  # text and reasoning that wait until the calls are told
        self._said: list[str] = []  # the content so far: citations count in it, estimates are made of it
        self._uncounted: list[str] = []  # what else the model wrote

    def feed(self, chunk: Json) -> list[Event]:
        """The events that a chunk brings."""
        if self._flowing and (text := _plain_text(chunk)):
            self._said.append(text)
            delta = {"type": "text_delta", "text": text}
            return [{"type": "content_block_delta", "index": self._blocks.index, "delta": delta}]
        if not self.finished:
            self._read(chunk)
            self._flowing = self._flows()
        return self._blocks.take()

    def done(self) -> list[Event]:
        """The provider said `[DONE]`."""
        if not self._started:
            raise ProviderError("the provider ended its stream without an answer")
        return self._ended()

    def finish(self) -> list[Event]:
        """The body ended."""
        if not (self.finished or self.finishing):
            raise ProviderError("the provider ended its stream before the answer was complete")
        return self._ended()

    def _ended(self) -> list[Event]:
        if not self.finished:
            self._end()
        return self._blocks.take()

    def _flows(self) -> bool:
        passed = self._tags is None or self._tags.passed
        return passed and self._blocks.kind == TEXT and not self._calls.unfinished and not self.finished

    # one chunk

    def _read(self, chunk: object) -> None:
        refuse_error(chunk)
        if not isinstance(chunk, dict):
            return
        choice = _first_choice(chunk.get("choices"))
        refuse_failure(choice)
        counted = self._count(chunk, choice)
        if not self._started:
            if not (choice or counted or chunk.get("id")):
                return
            self._start(chunk, counted)
        if choice:
            self._read_choice(choice)
        elif counted and self.finishing:
            self._end()

    def _count(self, chunk: Json, choice: Json) -> bool:
        """Whether the chunk brought usage."""
        self._tier = chunk.get("service_tier") or self._tier
        usage = read_usage(chunk.get("usage") or choice.get("usage"), self._tier)
        self.usage = usage or self.usage
        return usage is not None

    def _start(self, chunk: Json, counted: bool) -> None:
        self._started = True
        message: Json = {
            "id": message_id(chunk.get("id")),
            "type": "message",
            "role": "assistant",
            "model": model_name(chunk.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self.usage if counted else first_usage(self._context.estimate),
        }
        self._blocks.events += ({"type": "message_start", "message": message}, {"type": "ping"})

    def _read_choice(self, choice: Json) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._read_delta(delta)
        self._stop.note(choice)
        self.finishing = self._stop.finish is not None

    def _read_delta(self, delta: Json) -> None:
        reasoning = named_reasoning(delta)
        content = delta.get("content")
        if reasoning or delta.get("reasoning_details"):
            self._reason(reasoning, delta.get("reasoning_details"))
        if content:
            self._content(content, bool(reasoning))
        if len(delta) > 1 or not content:
            self._rarities(delta)
            self._tools(delta)

    def _content(self, content: object, has_reasoning: bool) -> None:
        said = read_content(content, self._report, _DELTA)
        self._said.append(said.text)
        reasoning, text = self._tags.feed(said.text) if self._tags else (said.reasoning, said.text)
        if reasoning and not has_reasoning:
            self._reason(reasoning)
        if text:
            self._text(text)
        if said.refusal:
            self._refuse(said.refusal)

    def _rarities(self, delta: Json) -> None:
        """What few providers send: refusals, sound, pictures, citations."""
        if refusal := flat(delta.get("refusal")):
            self._refuse(refusal)
        if isinstance(audio := delta.get("audio"), dict):
            self._report.add("dropped", f"{_DELTA}.audio")
            if not delta.get("content") and (transcript := flat(audio.get("transcript"))):
                self._content(transcript, True)
        if delta.get("images"):
            self._report.add("dropped", f"{_DELTA}.images")
        if annotations := delta.get("annotations"):
            self._cite(annotations)

    def _refuse(self, refusal: str) -> None:
        self._stop.refusal += refusal
        self._text(refusal)

    def _cite(self, annotations: object) -> None:
        found = citations(annotations, "".join(self._said))
        if found and self._blocks.kind != TEXT:
            self._report.add("dropped", f"{_DELTA}.annotations")
            return
        for citation in found:
            self._blocks.delta("citations_delta", "citation", citation)

    def _tools(self, delta: Json) -> None:
        calls = delta.get("tool_calls")
        entries = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        if isinstance(function := delta.get("function_call"), dict):
            entries.append({"index": -1, "function": function})
        if not entries:
            return
        self._release_tags()
        for entry in entries:
            self._calls.feed(entry)
        if self._blocks.kind not in (TEXT, THINKING):
            self._space = ""

    # text and reasoning find their block, or wait

    def _text(self, text: str) -> None:
        if self._waits(TEXT, text):
            return
        blocks = self._blocks
        if blocks.kind != TEXT:
            text = self._space + text
            if text.isspace():
                self._space = text
                return
            self._space = ""
            blocks.open_text()
        blocks.delta("text_delta", "text", text)

    def _reason(self, text: str, details: Any = None) -> None:
        self._uncounted.append(text)
        if not self._context.thinking_requested:
            return
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
        if not self._context.thinking_omitted:
            blocks.delta("thinking_delta", "thinking", text)

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
            (self._text if kind == TEXT else self._think)(text)

    def _release_tags(self) -> None:
        if self._tags:
            reasoning, text = self._tags.flush()
            self._reason(reasoning)
            if text:
                self._text(text)

    # the end

    def _end(self) -> None:
        self._release_tags()
        self._finish_calls()
        self._blocks.carry_details()
        self._blocks.close()
        self.finished = True
        stop = self._stop.read(self._calls.used, self._context, self._report)
        self._blocks.events += (
            {"type": "message_delta", "delta": stop, "usage": self._final_usage()},
            {"type": "message_stop"},
        )

    def _final_usage(self) -> Json:
        if self.usage is not None:
            return self.usage
        written = [*self._said, *self._uncounted, *self._calls.written()]
        return estimated_usage(self._context.estimate, written, self._tier)


def _plain_text(chunk: Any) -> str | None:
    """The text of a chunk that says nothing else; None for any other chunk."""
    try:
        choice = chunk["choices"][0]
        delta = choice["delta"]
        text = delta["content"]
        if (
            type(text) is not str
            or choice.get("finish_reason")
            or choice.get("index")
            or chunk.get("usage")
            or "error" in chunk
            or "base_resp" in chunk
        ):
            return None
        if len(delta) > 1:
            for key, value in delta.items():
                if value and key != "content" and key != "role":
                    return None
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return text


def _first_choice(choices: object) -> Json:
    """Choice 0, or an empty one."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}
