"""Texts of others made fit to be shown: no keys, no markup, no control characters, not too long.

The one rule: when in doubt it is a key. A request id too many may go; a credential must not.
"""

import re
from collections.abc import Iterable

SHOWN = 2048
"""Bytes of a provider's text that anyone gets to see."""

_MARK = "[redacted]"
_SHORTEST_SECRET = 6  # a shorter "secret" (`x`, `none`) is a placeholder, and a word of many messages

_NAMED = re.compile(
    r"""(?ix)
    \b(bearer|basic)\s+["']?[^\s"',;]{6,}
    | \b((?:x-)?(?:goog-)?(?:api|access|auth|secret|private|client|subscription)[ _-]?(?:key|token|secret)
        | authorization | password | passwd | token | secret | credential)s?
      (?:\s+(?:provided|is|was|of))* ["']?\s* [:=] \s*["']?
      (?:(?:bearer|basic)\s+)? (?!\d[\d.,]*\b) [^\s"',;&<>)}\]]{4,}
    | ([?&](?:key|sig|signature|code|auth)=)[^\s"'&]{4,}
    """
)
"""A credential by the word before it. A plain number is a count of the other kind of tokens."""

_SHAPED = re.compile(
    r"""(?x)
      (?<![A-Za-z0-9]) (?:
        (?:sk|pk|rk|gsk|xai|pplx|hf|r8|fw|nvapi|tgp_v1|csk|ghp|gho|ghs|github_pat|glpat|xox[abps]|pb)
            [-_] [A-Za-z0-9_\-.*]{8,}
        | AIza[A-Za-z0-9_\-*]{12,} | ya29\.[A-Za-z0-9_\-.]{8,} | (?:AKIA|ASIA)[A-Z0-9*]{12,}
        | eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+){0,2}
        | [A-Za-z0-9+/_\-]{0,64}\*{3,}[A-Za-z0-9+/_\-*]*
        | (?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}[A-Za-z0-9_\-.+/=]*
      )
      | (?<![A-Za-z0-9+/]) (?=[A-Za-z+/]*[0-9])(?=[^A-Z\s]*[A-Z])(?=[^a-z\s]*[a-z])
        [A-Za-z0-9+/]{32,}[A-Za-z0-9_\-.+/=]*
    """
)
"""A credential by its looks: known prefixes, masked ones, any long run of letters with digits, and of base 64."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|title|script|style)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,200})", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
_READ = 64 * 1024


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without anything that looks like a key."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _MARK)
    text = _NAMED.sub(_keep_name, text)
    return _SHAPED.sub(_MARK, text)


def reveals(text: str, secrets: Iterable[str]) -> bool:
    """Whether `text` holds one of `secrets`."""
    for secret in secrets:  # noqa: SIM110  # a generator takes three times as long, and each answer is asked this
        if secret in text and len(secret) >= _SHORTEST_SECRET:
            return True
    return False


def _keep_name(match: re.Match[str]) -> str:
    name = next(filter(None, match.groups()))
    return f"{name}{_MARK}" if name.endswith("=") else f"{name} {_MARK}"


def fit(text: str, secrets: Iterable[str] = (), limit: int = SHOWN) -> str:
    """`text` as anyone may see it: redacted, printable, at most `limit` bytes of UTF-8."""
    # Cut roughly first, so that a huge body costs little; behind the limit and at a space, so that no key is halved.
    if len(text) > 2 * limit:
        text = text[: 2 * limit].rpartition(" ")[0] or text[: 2 * limit]
    clean = _CONTROL.sub(" ", redact(text, secrets)).strip()
    raw = clean.encode("utf-8", "replace")
    return clean if len(raw) <= limit else raw[: limit - 3].decode("utf-8", "ignore") + "..."


def is_html(text: str) -> bool:
    """Whether `text` is a page for people rather than a message."""
    return _HTML.search(text[:4096]) is not None


def gist(text: str, secrets: Iterable[str] = ()) -> str:
    """What a page or an unknown body says in one line: its title, or the first 120 characters that one would see."""
    text = text[:_READ]
    if (title := _TITLE.search(text)) and title[1].strip():
        text = title[1]
    elif is_html(text):
        text = _UNSEEN.sub(" ", text)
    return fit(" ".join(redact(text[:4096], secrets).split())[:120])
