"""A chat provider's stream as canonical events.

What must be remembered between chunks has one place each: the `Narrator` knows what was told and what waits, `Stop`
what was said of the end, `ThinkTags` whether the text is still reasoning. The one rule: a chunk may hold anything; only
an error that it reports raises.
"""

from collections.abc import Callable

from portbroker.conversation import AnswerContext, Event, Json, Report
from portbroker.dialects import TEXTS, Strand
from portbroker.dialects.openai_chat.answer_parts import citations, flat, named_reasoning, read_content
from portbroker.dialects.openai_chat.identity import message_id, model_name
from portbroker.dialects.openai_chat.narrator import TEXT_STRAND, THINKING_STRAND, Narrator
from portbroker.dialects.openai_chat.plain_chunks import plain
from portbroker.dialects.openai_chat.reported_errors import refuse_error, refuse_failure
from portbroker.dialects.openai_chat.stops import Stop
from portbroker.dialects.openai_chat.think_tags import ThinkTags
from portbroker.dialects.openai_chat.usage import read_usage
from portbroker.dialects.usage import estimated_usage, first_usage
from portbroker.errors import ProviderError

_DELTA = "choices[0].delta"


class StreamDecoder:
    """One answer in flight; see `portbroker.dialects.StreamDecoder`."""

    __slots__ = (
        "_context", "_narrator", "_report", "_said", "_started", "_stop", "_tags", "_thought", "_tier", "finished",
        "finishing", "index", "strand", "take", "usage",
    )  # fmt: skip

    def __init__(self, context: AnswerContext, report: Report) -> None:
        self.finished = False
        self.finishing = False
        self.usage: Json | None = None
        self._context = context
        self._report = report
        self._stop = Stop()
        self._narrator = Narrator(context, report, self._stop)
        self._tags = ThinkTags() if context.think_tags else None
        self._tier: object = None
        self._started = False
        self.index = 0  # of the block that is open
        self.strand: Strand | None = None
        self.take: Callable[[str], str] = self._narrator.argue  # nothing is taken before there is a strand
        self._said: list[str] = []  # the content so far: citations count in it, estimates are made of it
        self._thought: list[str] = []  # the reasoning so far

    def feed(self, chunk: Json) -> list[Event]:
        """The events that a chunk brings."""
        strand = self.strand
        if strand is not None and (said := plain(chunk)) is not None and said[0] == strand:
            text = self.take(said[1])
            delta = {"type": strand[0], TEXTS[strand[0]]: text}
            return [{"type": "content_block_delta", "index": self.index, "delta": delta}] if text else []
        if not self.finished:
            self._read(chunk)
            self.strand = self._open_strand()
            self.take = self._taker()
            self.index = self._narrator.index
        return self._narrator.take()

    def _open_strand(self) -> Strand | None:
        strand = self._narrator.strand
        if strand is None or self.finished:
            return None
        if strand == TEXT_STRAND:
            return strand if self._tags is None or self._tags.passed else None
        return strand if strand != THINKING_STRAND or self._context.thinking_requested else None

    def plain(self, chunk: object) -> tuple[Strand, str] | None:
        """The strand and the text of a chunk that says nothing else."""
        return plain(chunk)

    def _taker(self) -> Callable[[str], str]:
        if self.strand != TEXT_STRAND and self.strand != THINKING_STRAND:
            return self._narrator.argue
        pieces = self._said if self.strand == TEXT_STRAND else self._thought

        def take(text: str) -> str:
            pieces.append(text)
            return text

        return take

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
        return self._narrator.take()

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
            "id": message_id(chunk.get("id"), self._context.call_id),
            "type": "message",
            "role": "assistant",
            "model": model_name(chunk.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self.usage if counted else first_usage(self._context.estimated()),
        }
        self._narrator.tell({"type": "message_start", "message": message}, {"type": "ping"})

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
        reasoning, text = self._tags.feed(said.text) if self._tags else ("", said.text)
        if not has_reasoning and (reasoning := said.reasoning + reasoning):
            self._reason(reasoning)
        if text:
            self._narrator.text(text)
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
        self._narrator.text(refusal)

    def _cite(self, annotations: object) -> None:
        if not self._narrator.cite(citations(annotations, "".join(self._said))):
            self._report.add("dropped", f"{_DELTA}.annotations")

    def _tools(self, delta: Json) -> None:
        calls = delta.get("tool_calls")
        entries = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        if isinstance(function := delta.get("function_call"), dict):
            entries.append({"index": -1, "function": function})
        if entries:
            self._release_tags()
            self._narrator.calls(entries)

    def _reason(self, text: str, details: object = None) -> None:
        self._thought.append(text)
        if self._context.thinking_requested:
            self._narrator.reason(text, details)

    def _release_tags(self) -> None:
        if self._tags:
            reasoning, text = self._tags.flush()
            self._reason(reasoning)
            if text:
                self._narrator.text(text)

    # the end

    def _end(self) -> None:
        self._release_tags()
        uses_tools = self._narrator.finish()
        self.finished = True
        stop = self._stop.read(uses_tools, self._context, self._report)
        usage = self.usage
        if usage is None:
            written = [*self._said, *self._thought, *self._narrator.arguments()]
            usage = estimated_usage(self._context.estimated(), written, self._tier)
        self._narrator.tell({"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"})


def _first_choice(choices: object) -> Json:
    """Choice 0, or an empty one."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}
