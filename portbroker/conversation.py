"""The canonical call, answer and stream: what every dialect decodes to and encodes from.

The shape is Anthropic's Messages: typed blocks as plain dicts, one open at a time. The one rule: values only; nothing
here knows a wire format, a provider or a clock.

Canonical *request*: `Conversation`. Canonical *answer*: a dict shaped as an Anthropic message (`id`, `model`,
`content`, `stop_reason`, `stop_sequence`, `usage`, optionally `stop_details`). Canonical *stream event*: a dict shaped
as an Anthropic stream event (`message_start`, `content_block_start`, …), strictly serial, indices without gaps. A block
or an answer in canonical form may carry keys that Anthropic does not know; they begin with an underscore, and encoders
that do not know them leave them out.
"""

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from random import randbytes
from typing import Any, Literal, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]


class Lasting(list[Any]):
    """A list that many calls have in common: `made` keeps what was made of it, by who made it. Nobody changes it."""

    __slots__ = ("made",)

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__(items)
        self.made: dict[str, Any] = {}


AdaptationCode = Literal["dropped", "clamped", "changed", "degraded", "inlined", "added", "invalid", "unknown"]

LOSSY: frozenset[str] = frozenset({"dropped", "degraded"})
"""The codes that `on_loss: error` refuses."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One thing that translation changed. `path` is that of the value in the body that was read, or a fixed name."""

    code: AdaptationCode
    path: str

    def __str__(self) -> str:
        return f"{self.code}:{self.path}"


class Report:
    """The adaptations of one translation, in order, each once.

    `names` says what the client calls what has another name in canonical form.
    """

    __slots__ = ("_seen", "names")

    def __init__(self) -> None:
        self._seen: dict[Adaptation, None] = {}
        self.names: Mapping[str, str] = {}

    def add(self, code: AdaptationCode, path: str) -> None:
        """Record one adaptation; a repeated one counts once."""
        self._seen[Adaptation(code, self.names.get(path, path))] = None

    def __iter__(self) -> Iterator[Adaptation]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def lossy(self) -> list[Adaptation]:
        """Those that lose or weaken something the caller asked for."""
        return [a for a in self._seen if a.code in LOSSY]


@dataclass(slots=True)
class Block:
    """One content block and where it stood in the body that was read.

    `data` is an Anthropic-shaped block dict; never change it in place, it may belong to the client's parsed body.
    `place` is the path of its message (`messages[3]`, `system`), `spot` an index into that message's `content`, or the
    rest of the path as text (`content`, `tool_calls[0]`), or "" when the place says it all.
    """

    data: Json
    place: str
    spot: int | str = ""

    @property
    def kind(self) -> str:
        kind: str = self.data["type"]
        return kind

    @property
    def path(self) -> str:
        if isinstance(self.spot, int):
            return f"{self.place}.content[{self.spot}]" if self.place != "system" else f"system[{self.spot}]"
        return f"{self.place}.{self.spot}" if self.spot else self.place


@dataclass(slots=True)
class Turn:
    """Who says what. `path` is the place of the (first) message that it was read from.

    A `system` turn is a mid-conversation system message; `data` keeps such a message's other keys (`clear_at`,
    `output_config`).
    """

    role: Literal["user", "assistant", "system"]
    blocks: list[Block]
    path: str
    data: Json = field(default_factory=dict)


@dataclass(slots=True)
class Tool:
    """One tool as Anthropic declares it (`name`, `description`, `input_schema`, `strict`, `type`…) and its place."""

    data: Json
    path: str


@dataclass(slots=True)
class AnswerContext:
    """What translating an answer needs to know of its call. One a call; decoders and encoders only read it.

    `request_model` is the name the client asked for (None: show the upstream's). `tool_names` maps shortened tool names
    back to the client's; calls of `custom_tools` return as free text. `estimate` is the estimated number of input
    tokens, for a provider that reports none, unless `estimator` is there to find it: ask `estimated`. `created` is
    the Unix time, in seconds, for a dialect that shows one. `origin` names provider and model, for state that is
    valid only where it came from. `call_id` is the call's own, for answers that come without a usable one.
    `tool_map` leads from flat tool names to `namespace`, `name` and `kind`; `echo` is what the answer repeats of
    its call, in the client's own words. With `thinking_hidden` a client carries thinking back that it is not shown.
    """

    request_model: str | None = None
    thinking_requested: bool = True
    thinking_omitted: bool = False
    think_tags: bool = False
    state: str | None = None
    stop_sequences: tuple[str, ...] = ()
    tool_names: dict[str, str] = field(default_factory=dict)
    custom_tools: frozenset[str] = frozenset()
    tool_map: dict[str, Json] = field(default_factory=dict)
    include_usage: bool = False
    encrypted: bool = False
    estimate: int = 0
    created: int = 0
    origin: str = ""
    call_id: str = ""
    echo: Json = field(default_factory=dict)
    thinking_hidden: bool = False
    estimator: Callable[[], int] | None = None

    def estimated(self) -> int:
        """The estimated input tokens. Few answers need them, and to count them takes time for a large call."""
        return self.estimate if self.estimator is None else self.estimator()

    def copy(self) -> "AnswerContext":
        """An equal one, to be completed."""
        return AnswerContext(*_context_values(self))


@dataclass(slots=True)
class Conversation:
    """What a caller asks of a model, in no one's dialect.

    `params` holds everything else of the body by its Anthropic name where Anthropic has one (`max_tokens`,
    `stop_sequences`, `temperature`, `thinking`, `output_config`, `metadata`, `service_tier`…), and by its name in the
    body that was read otherwise (`seed`, `logit_bias`, …), so that a target which knows that name can still take it
    and one which does not can report it. `answer` is what the body says about the answer; an encoder completes a copy.
    """

    model: str
    system: list[Block] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    tool_choice: Json | None = None
    params: Json = field(default_factory=dict)
    stream: bool = False
    answer: AnswerContext = field(default_factory=AnswerContext)

    def copy(self) -> "Conversation":
        """An equal one, to be completed."""
        return Conversation(*_conversation_values(self))


# `dataclasses.replace` takes eight times as long, and both are copied for every attempt.
_context_values = attrgetter(*(f.name for f in fields(AnswerContext)))
_conversation_values = attrgetter(*(f.name for f in fields(Conversation)))


def _block_deltas(block: Json) -> Iterator[Json]:
    """What a stream says of one block between its start and its stop."""
    kind = block["type"]
    if kind == "text":
        yield {"type": "text_delta", "text": block["text"]}
        for citation in block.get("citations") or ():
            yield {"type": "citations_delta", "citation": citation}
    elif kind == "thinking":
        if block["thinking"]:
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
        if block.get("signature"):
            yield {"type": "signature_delta", "signature": block["signature"]}
    elif kind == "tool_use":
        yield {"type": "input_json_delta", "partial_json": orjson.dumps(block["input"]).decode()}


_EMPTIED: dict[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


def _block_start(block: Json) -> Json:
    empty = _EMPTIED.get(block["type"])
    return {**{k: v for k, v in block.items() if k != "citations"}, **empty} if empty is not None else block


def block_events(index: int, block: Json) -> Iterator[Event]:
    """A whole block as the canonical events that would have told it."""
    yield {"type": "content_block_start", "index": index, "content_block": _block_start(block)}
    for delta in _block_deltas(block):
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def answer_events(answer: Json) -> Iterator[Event]:
    """A canonical answer as the canonical stream that would have told it."""
    whole_usage = answer.get("usage") or {}
    start = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**whole_usage, "output_tokens": 0}
    start.pop("stop_details", None)
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(answer["content"]):
        yield from block_events(index, block)
    delta = {name: answer.get(name) for name in ("stop_reason", "stop_sequence")}
    if answer.get("stop_details"):
        delta["stop_details"] = answer["stop_details"]
    yield {"type": "message_delta", "delta": delta, "usage": whole_usage}
    yield {"type": "message_stop"}


_LETTERS_ONLY = bytes.maketrans(b"+/", b"Zz")


def mint(prefix: str) -> str:
    """A fresh identifier: `prefix` and 24 letters and digits. Not a secret."""
    # Base 64 of random bytes: an eighth of the time that choosing 24 characters takes, and it is on every call's path.
    return prefix + b2a_base64(randbytes(18), newline=False).translate(_LETTERS_ONLY).decode()
