"""Errors of providers, read: whatever body came, a `ProviderError` that says what it is and shows nothing it must not.

The one rule: a provider's body never reaches anyone as it is. A message is redacted and cut; a page is only named.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import orjson

from portbroker.conversation import Json
from portbroker.dialects.fault_kinds import kind_of, status_of
from portbroker.dialects.fault_words import FaultWords, read_words, text
from portbroker.dialects.overflow import read_overflow
from portbroker.errors import Kind, ProviderError
from portbroker.headers import telling_headers
from portbroker.redaction import fit, gist, is_html, redact

Classify: TypeAlias = Callable[[Json, int], tuple[Kind, str | None] | None]
"""A field map's `errors` rules: (body, status) to the class and, where the rule gives one, the message."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_DETAILS = 16


def holds_fault(body: object) -> bool:
    """Whether a parsed body, or a chunk of a stream, is an error although it came with a 200."""
    if isinstance(body, list):
        return bool(body) and isinstance(body[0], dict) and bool(body[0].get("error"))
    if not isinstance(body, dict):
        return False
    if body.get("error") or body.get("type") == "error" or body.get("object") == "error":
        return True
    base = body.get("base_resp")
    return isinstance(base, dict) and text(base.get("status_code")) not in ("", "0")


def read_fault(
    status: int,
    body: object,
    *,
    raw: bytes | None = None,
    provider: str = "",
    classify: Classify | None = None,
    secrets: Collection[str] = (),
    callers_credential: bool = False,
) -> ProviderError:
    """The error that `body` tells of; never raises.

    `status` is 0 inside a stream. `raw` is what came where `body` is not JSON (then None). `classify` goes before all
    that is known here (it sees 200 for a stream). `secrets` are what the request carried and no message may repeat.
    """
    words = read_words(body)
    status = status_of(status, words)
    kind, message = kind_of(status, words), None
    if classify and (verdict := classify(_document(body), status or 200)):
        kind, message = verdict
    if kind == "auth" and not callers_credential:
        # What the provider says of the credential is about the gateway's, and may repeat it in some form.
        message = f"provider {provider!r} refused the gateway's credential" if provider else _REFUSED
    else:
        message = _shown(status, message or words.message, raw, secrets)
    return ProviderError(
        message,
        kind=kind,
        status=status,
        param=_param(words, secrets),
        code=_code(words, secrets),
        overflow=read_overflow(words.message, words.fields) if kind == "context" else None,
        provider=provider,
        callers_credential=callers_credential,
        details=_details(words, secrets),
    )


def _details(words: FaultWords, secrets: Collection[str]) -> Json:
    """What an error says to programs, as far as it is words: SDKs act on `details.error_code`."""
    details = words.fields.get("details")
    if not isinstance(details, dict) or not _is_code(details.get("error_code"), secrets):
        return {}
    told: Json = {}
    for name, value in list(details.items())[:_DETAILS]:
        values = value[:_DETAILS] if isinstance(value, list) else [value]
        if _is_code(name, secrets) and values and all(_is_code(item, secrets) for item in values):
            told[name] = values if isinstance(value, list) else value
    return told


def _document(body: object) -> Json:
    """What a field map's rules see: the object itself, or the one in Google's list; a status needs none."""
    if isinstance(body, list) and body:
        body = body[0]
    return body if isinstance(body, dict) else {}


_REFUSED = "the provider refused the gateway's credential"


def _shown(status: int, message: str, raw: bytes | None, secrets: Collection[str]) -> str:
    """The message as a client may see it; of a page, or of no message at all, what it is in short."""
    if message and not is_html(message) and (clean := fit(message, secrets)):
        return clean
    what = f"Upstream returned HTTP {status}" if status else "Upstream returned an error"
    # Of JSON that says nothing in words there is nothing to show: its values may be anything.
    brief = gist(message or (raw or b"")[: 64 * 1024].decode("utf-8", "replace"), secrets)
    return f"{what} ({brief})" if brief else what


def _param(words: FaultWords, secrets: Collection[str]) -> str | None:
    """The place that the upstream names, if it is one; a page is none."""
    return fit(words.param, secrets, 256) if words.param and not is_html(words.param) else None


def _code(words: FaultWords, secrets: Collection[str]) -> str | None:
    """The upstream's own code, if it is a word; a number only repeats the status."""
    return words.code if _is_code(words.code, secrets) else None


def _is_code(value: object, secrets: Collection[str]) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None and redact(value, secrets) == value


def read_error_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    provider: str,
    *,
    classify: Classify | None = None,
    secrets: Collection[str] = (),
    callers_credential: bool = False,
) -> ProviderError:
    """The error that a whole answer tells of, with the headers that may go on to the client. Never raises.

    `headers` have names in lower case. A 200 whose body is no answer may be read too.
    """
    document, raw = _parse(headers.get("content-type", ""), body)
    error = read_fault(
        status,
        document,
        raw=raw,
        provider=provider,
        classify=classify,
        secrets=secrets,
        callers_credential=callers_credential,
    )
    error.headers = telling_headers(headers)
    return error


def _parse(content_type: str, body: bytes) -> tuple[object, bytes | None]:
    """(document, None), or (None, body) when it is not JSON."""
    if "html" in content_type.lower():
        return None, body
    try:
        return orjson.loads(body), None
    except orjson.JSONDecodeError:
        return None, body
