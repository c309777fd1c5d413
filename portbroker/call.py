"""What a client asked, as far as the gateway must know before a dialect reads it: the model and whether to stream.

The one rule: anything wrong with the bytes is the caller's error, with the place in the body.
"""

from dataclasses import dataclass

import orjson

from portbroker.conversation import Conversation, Json, Report
from portbroker.dialects import Dialect
from portbroker.dialects.registry import CHAT_BY_INPUT, OPENAI_CHAT
from portbroker.errors import CallError
from portbroker.tokens import quick_estimate

_LONGEST = 20_000
"""Messages, items or tools of a body that is translated: about half a second's work. A body that is passed on as it is
may have any number."""


@dataclass(slots=True)
class Call:
    """One parsed request body. `raw` is kept, because a provider of the same dialect gets the client's own bytes."""

    raw: bytes
    body: Json
    model: str
    stream: bool
    dialect: Dialect

    _decoded: tuple[Conversation, Report] | None = None

    @property
    def decoded(self) -> tuple[Conversation, Report]:
        """The canonical conversation and what reading it reported; read once, however many targets are tried."""
        if self._decoded is None:
            _refuse_endless(self.body)
            report = Report()
            self._decoded = self.dialect.decode_request(self.body, report), report
        return self._decoded

    def estimate(self) -> int:
        """Estimated input tokens."""
        return quick_estimate(self.raw, self.body)


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
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = "the request body is empty" if not raw.strip() else f"the request body is not valid JSON: {error}"
        raise CallError(message) from None
    if not isinstance(body, dict):
        raise CallError("the request body must be a JSON object")
    model, stream = body.get("model"), body.get("stream")
    if not isinstance(model, str) or not model:
        what = "is missing" if "model" not in body else "must be a non-empty string"
        raise CallError(f"model: {what}", param="model")
    if stream is not None and not isinstance(stream, bool):
        raise CallError("stream: must be true or false", param="stream")
    if dialect is OPENAI_CHAT and "input" in body and "messages" not in body:
        dialect = CHAT_BY_INPUT
    return Call(raw, body, model, bool(stream), dialect)
