"""What an error body says, whichever of the many forms it has: its fields, and its message in plain words.

The one rule: anything may be in a body. Every type is checked before it is touched, and nothing here raises.
"""

from dataclasses import dataclass, field

import orjson

from portbroker.conversation import Json
from portbroker.redaction import gist, is_html

_DEPTH = 4
_FIELDS = 16
_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class FaultWords:
    """An error in its sender's words, not yet fit to be shown. `fields` is the error object itself."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    fields: Json = field(default_factory=dict)

    @property
    def codes(self) -> tuple[str, ...]:
        """Everything in it that may be a code, the most telling first: servers disagree on the key."""
        return (self.code, self.type, text(self.fields.get("error_code")), text(self.fields.get("status")))


def text(value: object) -> str:
    """A string or number as text; anything else is none."""
    if isinstance(value, str):
        return value[:_LONGEST]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def read_words(body: object) -> FaultWords:
    """What `body` says. Its forms: `{error: {…}}`, `{error: "…"}`, `[{error: …}]`, `{detail: …}`, `{message: …}`, …"""
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]
    if isinstance(body, str):
        return FaultWords(body[:_LONGEST])
    if not isinstance(body, dict):
        return FaultWords()
    error = body.get("error")
    if isinstance(error, dict):
        return _object(error)
    if isinstance(error, str) and error:
        return FaultWords(
            text(body.get("message")) or error[:_LONGEST], text(body.get("type")), _code(body), None, body
        )
    if isinstance(base := body.get("base_resp"), dict):
        return FaultWords(text(base.get("status_msg")), "", text(base.get("status_code")), None, base)
    if "detail" in body and "message" not in body:
        return FaultWords(_detail(body["detail"]), text(body.get("type")), _code(body), None, body)
    return _object(body)


def _object(error: Json) -> FaultWords:
    message = error.get("message")
    if not isinstance(message, str):
        message = _detail(message) or _detail(error.get("detail") or error.get("errors")) or text(error.get("msg"))
    inner = _wrapped(error.get("metadata"))
    if inner and inner not in message:
        message = f"{message}: {inner}" if message else inner
    param = error.get("param")
    kind = text(error.get("type"))
    return FaultWords(
        message[:_LONGEST],
        "" if kind == "error" else kind,
        _code(error),
        param if isinstance(param, str) else None,
        error,
    )


def _code(error: Json) -> str:
    """The code; Anthropic's is among the details."""
    details = error.get("details")
    return text(error.get("code")) or (text(details.get("error_code")) if isinstance(details, dict) else "")


def _wrapped(metadata: object) -> str:
    """OpenRouter's `metadata.raw`: what the server behind it said."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str):
        return ""
    try:
        return read_words(orjson.loads(raw[:_LONGEST])).message
    except orjson.JSONDecodeError:
        return gist(raw) if is_html(raw) else raw[:_LONGEST]


def _detail(detail: object, depth: int = _DEPTH) -> str:
    """FastAPI's `detail`: a text, or a list of what is wrong where."""
    if isinstance(detail, list) and depth:
        return "; ".join(filter(None, (_detail(item, depth - 1) for item in detail[:_FIELDS])))
    if isinstance(detail, dict) and depth:
        said = text(detail.get("msg")) or _detail(detail.get("message") or detail.get("error"), depth - 1)
        place = detail.get("loc")
        where = ".".join(map(text, place[:_FIELDS])) if isinstance(place, list) else ""
        return f"{where}: {said}" if where and said else said
    return text(detail)
