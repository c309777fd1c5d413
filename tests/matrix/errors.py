"""What goes wrong at a provider: how each says it, and what a client must learn of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.clients.scripted import Turn
from tests.matrix.answers import STREAMED
from tests.matrix.asks import A, C, R
from tests.providers import Json, events, sse

MESSAGE = "provider-says-so"


def _anthropic(kind: str, message: str = MESSAGE) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _openai(kind: str, code: str | None, message: str = MESSAGE) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@dataclass(frozen=True)
class Wrong:
    """A failure before the answer. By provider dialect, its status and body; `headers` must reach the client.

    `told` is what the client must read of it.
    """

    name: str
    said: Mapping[str, tuple[int, Json]]
    headers: Mapping[str, str] = field(default_factory=dict)
    told: str = MESSAGE


_LONG = "prompt is too long: 250000 tokens > 200000 maximum"
_LONG_CHAT = "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens."

WRONGS = (
    Wrong("too many calls", {A: (429, _anthropic("rate_limit_error")), **dict.fromkeys(
        (C, R), (429, _openai("requests", "rate_limit_exceeded")))}, {"retry-after": "7"}),
    Wrong("the provider is overloaded", {A: (529, _anthropic("overloaded_error")), **dict.fromkeys(
        (C, R), (503, _openai("server_error", None)))}),
    Wrong("the prompt is too long", {A: (400, _anthropic("invalid_request_error", _LONG)), **dict.fromkeys(
        (C, R), (400, _openai("invalid_request_error", "context_length_exceeded", _LONG_CHAT)))}, told="250000"),
    Wrong("the call is wrong", {A: (400, _anthropic("invalid_request_error")), **dict.fromkeys(
        (C, R), (400, _openai("invalid_request_error", None)))}),
    Wrong("the account is out of money", {A: (402, _anthropic("billing_error")), **dict.fromkeys(
        (C, R), (429, _openai("insufficient_quota", "insufficient_quota")))}),
)  # fmt: skip
"""Failures that are answers of their own."""


BEGUN = "Half an"
"""What a stream says before it ends too early."""


def broken(provider: str) -> list[bytes]:
    """The beginning of a stream, and its end by an error of the provider's own."""
    said = {
        A: events(_anthropic("overloaded_error")),
        C: sse(_openai("server_error", None)),
        R: events({"type": "response.failed", "sequence_number": 9, "response": {
            "id": "resp_1", "object": "response", "status": "failed", "model": "m", "output": [],
            "error": {"code": "server_error", "message": MESSAGE}}}),
    }  # fmt: skip
    return [*begun(provider), said[provider]]


def begun(provider: str) -> list[bytes]:
    """A stream up to its first words."""
    pieces = list(STREAMED[provider](Turn(f"{BEGUN} answer")))
    at = next(number for number, piece in enumerate(pieces) if BEGUN.encode() in piece)
    return pieces[: at + 1]


def told(raw: bytes) -> tuple[str, str]:
    """The text that a stream has shown, and what its error says; of any client."""
    text, error = "", ""
    for line in raw.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        delta = event.get("delta")
        text += delta if isinstance(delta, str) else (delta or {}).get("text", "")
        text += "".join(choice["delta"].get("content") or "" for choice in event.get("choices") or [])
        fault = event.get("error") or (event.get("response") or {}).get("error")
        error = str(fault.get("message")) if fault else error
    return text, error


def shown(status: int, body: Json) -> str:
    """An error as the page shows it."""
    fault = body["error"]
    return f"{status} `{fault.get('code') or fault['type']}`"
