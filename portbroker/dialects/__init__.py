"""The wire formats. Each package decodes to and encodes from the canonical conversation; all of it is pure.

The one rule: a dialect knows nothing of any other dialect, of a vendor (that is an option or a field map), or of I/O.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Conversation, Event, Json, Report
from portbroker.errors import GatewayError
from portbroker.fieldmap import Params

DialectName = Literal["anthropic.messages", "openai.chat", "openai.responses"]


Strand: TypeAlias = tuple[str, int]
"""What goes on in a stream: the type of its deltas, and the provider's number of the call whose arguments they are."""


class StreamDecoder(Protocol):
    """One answer in flight: a provider's parsed chunks in, canonical events out; no I/O and no clock.

    Every method may raise `ProviderError`: the stream reports an error, or was cut. `finished` is true once the
    answer's end was seen (`message_stop` was returned); `finishing` once a finish reason was seen and only usage can
    follow. `usage` is the canonical usage as far as it is known (None: the provider has given none).
    """

    finished: bool
    finishing: bool
    usage: Json | None

    @property
    def strand(self) -> Strand | None:
        """What a chunk that is plain would only go on with; None for nothing."""

    @property
    def index(self) -> int:
        """The index of the block that a strand belongs to."""

    def plain(self, chunk: object) -> tuple[Strand, str] | None:
        """The strand of a chunk and its text, if it says nothing else; None when in doubt."""

    @property
    def take(self) -> Callable[[str], str]:
        """Takes note of more text of the present strand, and gives what of it is to be told."""

    def feed(self, chunk: Json) -> list[Event]: ...
    def done(self) -> list[Event]:
        """The provider said `[DONE]`."""

    def finish(self) -> list[Event]:
        """The body ended. Raises `ProviderError` when that was too early; returns [] when `finished` already."""


TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The types of delta that hold a text and nothing else, and the name of it."""


class StreamEncoder(Protocol):
    """One answer in flight: canonical events in, wire bytes out; no I/O and no clock."""

    def feed(self, event: Event) -> bytes: ...
    def pen(self, kind: str, index: int) -> Callable[[str], bytes]:
        """Writes what `feed` would give for the deltas of a block that hold nothing but a text."""

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """An error after the first byte is an event in the client's dialect."""

    def ping(self) -> bytes:
        """What keeps a client's connection alive and means nothing."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as the client sees it. `headers` never holds content-type or the request ids."""

    status: int
    headers: Mapping[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire format, both as what clients speak and as what providers speak: a record of pure functions.

    `decode_request` reads a client's body; raises `CallError` with `param` for what cannot be read or honoured at all;
    fills `Conversation.answer` with all that the body says about the answer it wants.

    `encode_request` writes a provider's body, vanilla for this dialect but for `options`; changes nothing in the
    conversation (it may be encoded again for the next target); `params` turns `conversation.params` into this
    dialect's scalars. `model` is left as `conversation.model`.

    `pass_request` (raw, body, model, options) gives the client's own bytes for a provider of the same dialect, with
    only what must change changed.

    `decode_answer` reads a whole answer; raises `ProviderError` when it holds an error or no answer.
    """

    name: DialectName
    path: str
    """Where a provider of this dialect takes calls, after its base URL: `/chat/completions`, `/messages`."""

    decode_request: Callable[[Json, Report], Conversation]
    encode_request: Callable[[Conversation, Options, Params, Report], tuple[Json, AnswerContext]]
    pass_request: Callable[[bytes, Json, str, Options], bytes]

    decode_answer: Callable[[Json, AnswerContext, Report], Json]
    encode_answer: Callable[[Json, AnswerContext, Report], Json]
    stream_decoder: Callable[[AnswerContext, Report], StreamDecoder]
    stream_encoder: Callable[[AnswerContext, Report], StreamEncoder]

    encode_error: Callable[[GatewayError, str], ErrorAnswer]
    """The error and the request id, as an answer in this dialect."""

    goes_on: Callable[[bytes], bool] = lambda _: False
    """Whether the data of a stream's event, by a glance at its bytes, only goes on with what has begun: nothing in it
    ends, counts or fails the answer. False when in doubt."""
