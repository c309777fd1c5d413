"""What a client asked, as far as the gateway must know before a dialect reads it: the model and whether to stream.

The one rule: anything wrong with the bytes is the caller's error, with the place in the body.
"""

from dataclasses import dataclass, field

import orjson

from portbroker.conversation import AnswerContext, Conversation, Json, Report
from portbroker.dialects import Dialect
from portbroker.dialects.known_tools import KnownTools
from portbroker.dialects.registry import CHAT_BY_INPUT, OPENAI_CHAT
from portbroker.endpoints import Endpoint
from portbroker.errors import CallError
from portbroker.multipart import Span, field_spans, is_form
from portbroker.tokens import quick_estimate

_LONGEST = 20_000
"""Messages, items or tools of a body that is translated: about half a second's work. A body that is passed on as it is
may have any number."""


@dataclass(frozen=True, slots=True)
class Form:
    """A body that holds files: its type, and where in its bytes the model stands."""

    content_type: str
    model: Span


@dataclass(frozen=True, slots=True)
class Native:
    """A call as it came, for the provider that made the response which it goes on from."""

    provider: str
    raw: bytes
    body: Json


_known_tools = KnownTools()


@dataclass(slots=True)
class Call:
    """One parsed request body. `raw` is kept, because a provider of the same dialect gets the client's own bytes."""

    raw: bytes
    body: Json
    model: str
    stream: bool
    dialect: Dialect

    endpoint: Endpoint | None = None
    """What is called, where it is not translated."""
    form: Form | None = None
    """How the body is written, where that is not JSON."""
    native: Native | None = None
    """The call as one provider gets it, which knows what was said before."""
    echo: Json = field(default_factory=dict)
    """What the answer repeats that the body does not say."""

    _decoded: tuple[Conversation, Report] | None = None

    @property
    def flows(self) -> bool:
        """Whether the answer goes on as it comes: a stream, and whatever an endpoint answers with."""
        return self.stream or self.endpoint is not None

    @property
    def decoded(self) -> tuple[Conversation, Report]:
        """The canonical conversation and what reading it reported; read once, however many targets are tried."""
        if self._decoded is None:
            _refuse_endless(self.body)
            report = Report()
            conversation = self.dialect.decode_request(self.body, report)
            if self.echo:
                _complete(conversation.answer, self.echo)
            self._decoded = conversation, report
        return self._decoded

    def estimate(self) -> int:
        """Estimated input tokens; none for a form, since most of its bytes are files."""
        return 0 if self.form is not None else quick_estimate(self.raw, self.body)


def _complete(answer: AnswerContext, echo: Json) -> None:
    """Have the answer repeat this too; one that is kept holds the state of its thinking, to be gone on from."""
    answer.echo = {**answer.echo, **echo}
    if echo.get("store"):
        answer.encrypted = answer.thinking_requested = True


def _refuse_endless(body: Json) -> None:
    """Raises for a body whose translation would keep everyone else waiting: this is time on the one thread there is."""
    for name in ("messages", "input", "tools"):
        listed = body.get(name)
        if isinstance(listed, list) and len(listed) > _LONGEST:
            raise CallError(
                f"{name}: {len(listed)} entries are more than the {_LONGEST} that are translated for one call",
                param=name,
            )


def parse_call(raw: bytes, dialect: Dialect) -> Call:
    """The call in a request body. Raises `CallError` for what is not a JSON object with a model."""
    body = _object(raw)
    model, stream = body.get("model"), body.get("stream")
    if not isinstance(model, str) or not model:
        what = "is missing" if "model" not in body else "must be a non-empty string"
        raise CallError(f"model: {what}", param="model")
    if stream is not None and not isinstance(stream, bool):
        raise CallError("stream: must be true or false", param="stream")
    if dialect is OPENAI_CHAT and "input" in body and "messages" not in body:
        dialect = CHAT_BY_INPUT
    return Call(raw, body, model, bool(stream), dialect)


def _object(raw: bytes) -> Json:
    try:
        body = _known_tools.loads(raw)
    except orjson.JSONDecodeError as error:
        message = "the request body is empty" if not raw.strip() else f"the request body is not valid JSON: {error}"
        raise CallError(message) from None
    if not isinstance(body, dict):
        raise CallError("the request body must be a JSON object")
    return body


def parse_endpoint_call(raw: bytes, endpoint: Endpoint, content_type: str) -> Call:
    """The call of an endpoint, in JSON or in a form. Raises `CallError` for a body without a model."""
    if not is_form(content_type):
        call = parse_call(raw, endpoint.dialect)
        return Call(call.raw, call.body, call.model, call.stream, endpoint.dialect, endpoint)
    fields = field_spans(raw, content_type)
    if "model" not in fields:
        raise CallError("model: is missing; it says which provider gets the form", param="model")
    start, end = fields["model"]
    try:
        model = raw[start:end].decode().strip()
    except UnicodeDecodeError as error:
        raise CallError("model: is no valid text", param="model") from error
    if not model:
        raise CallError("model: must not be empty", param="model")
    form = Form(content_type, (start, end))
    return Call(raw, {"model": model}, model, stream=False, dialect=endpoint.dialect, endpoint=endpoint, form=form)
