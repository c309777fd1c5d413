"""The `pb1.` envelope: a provider's state, carried through an Anthropic client inside a thinking block's signature.

The one rule: what comes back from a client is not trusted. An envelope that cannot be read, or that was made elsewhere,
counts as no state; its block's text is kept all the same.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeGuard

import orjson

from portbroker.conversation import Json

PREFIX: Final = "pb1."
LIMIT: Final = 64 * 1024

EnvelopeKind = Literal["rc", "gts", "rd", "oe", "an"]
"""`rc` plain reasoning (its text is in the block), `gts` Gemini's thought signatures by tool call id in `m`, `rd`
OpenRouter's `reasoning_details` in `v`, `oe` a Responses reasoning item (`v` its encrypted content, `id` its id),
`an` an Anthropic signature in `s` (a redacted block's data in `r`). `t` is the text, where the client was not shown
it."""


def wrap(kind: EnvelopeKind, origin: str = "", **state: Any) -> str:
    """`state` as a signature. `origin` (provider and model) is given where only that origin can read it.

    State beyond the limit is left out: what remains says that the text is plain reasoning.
    """
    payload: Json = {"k": kind, **state}
    if origin:
        payload["o"] = origin_hash(origin)
    envelope = PREFIX + base64.urlsafe_b64encode(orjson.dumps(payload)).rstrip(b"=").decode()
    return envelope if len(envelope) <= LIMIT else PLAIN


def unwrap(envelope: object, origin: str = "") -> Json | None:
    """What an envelope holds, or None: not ours, not readable, or valid only at another origin."""
    if not is_envelope(envelope) or len(envelope) > LIMIT:
        return None
    encoded = envelope[len(PREFIX) :]
    try:
        payload = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(payload, dict) or not isinstance(payload.get("k"), str):
        return None
    return payload if "o" not in payload or payload["o"] == origin_hash(origin) else None


def is_envelope(value: object) -> TypeGuard[str]:
    """Whether a signature (or a redacted block's data) is one of ours."""
    return isinstance(value, str) and value.startswith(PREFIX)


def mark(block: Mapping[str, Any]) -> object:
    """Where a thinking or redacted_thinking block carries its signature or envelope; None for other blocks."""
    kind = block.get("type")
    return block.get("signature") if kind == "thinking" else block.get("data") if kind == "redacted_thinking" else None


def is_ours(block: Mapping[str, Any]) -> bool:
    """Whether a block was made by a gateway: an Anthropic endpoint must not see it."""
    return is_envelope(mark(block))


def carrier(envelope: str) -> Json:
    """A thinking block that says nothing and brings state back."""
    return {"type": "thinking", "thinking": "", "signature": envelope}


def origin_hash(origin: str) -> str:
    """Sixteen hex digits that stand for provider and model without naming them."""
    return hashlib.sha256(origin.encode(errors="surrogatepass")).hexdigest()[:16]


PLAIN: Final = wrap("rc")
"""The signature of reasoning that came without any state."""
