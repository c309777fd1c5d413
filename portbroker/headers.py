"""Which headers go where: a client's to a provider, a provider's to a client, and whose credential a call carries.

The one rule: headers travel by allow-list. What is not named here stays where it came from. Names are in lower case.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from portbroker import __version__
from portbroker.rate_limits import rate_limits_for

ANTHROPIC_VERSION = "2023-06-01"
"""The version that keeps sampling parameters for older models; sent when the client names none."""

HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate",
    "proxy-authorization", "proxy-authentication-info", "proxy-connection",
    # Not hop-by-hop by the letter, but each message's own: the body is written anew, in plain.
    "host", "content-length", "content-encoding", "accept-encoding", "expect",
})  # fmt: skip

_CREDENTIALS = frozenset({
    "authorization", "x-api-key", "api-key", "cookie", "proxy-authorization", "x-goog-api-key", "chatgpt-account-id",
    "anthropic-workspace-id",
})  # fmt: skip

_BASE = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",  # a compressed stream comes in lumps, and a bomb is not worth the bandwidth
    "user-agent": f"PortBroker/{__version__}",
}

_LONGEST = 512


def fold(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers as this module reads them: names in lower case, several values of one name joined by a comma."""
    folded: dict[str, str] = {}
    for name, value in items:
        name = name.lower()
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    return folded


def client_credential(headers: Mapping[str, str]) -> str | None:
    """The key that a client sent: `x-api-key`, `Authorization: Bearer`, `api-key`, the first that holds one."""
    if key := headers.get("x-api-key", "").strip():
        return key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and (token := token.strip()):
        return token
    return headers.get("api-key", "").strip() or None


def fixed_headers(
    dialect: str, auth: Mapping[str, str], extra: Mapping[str, str] | None = None, drop: Collection[str] = ()
) -> dict[str, str]:
    """What every request to a provider carries; made once, when the file is compiled.

    `auth` holds the provider's credential, `extra` what the file adds; `drop` names what the file leaves out.
    """
    headers = dict(_BASE)
    if dialect == "anthropic.messages":
        headers["anthropic-version"] = ANTHROPIC_VERSION
    for source in (extra or {}, auth):
        headers |= {name.lower(): value for name, value in source.items() if name.lower() not in HOP_BY_HOP}
    for name in drop:
        headers.pop(name.lower(), None)
    return headers


def passthrough_headers(
    fixed: Mapping[str, str], client: Mapping[str, str], betas: Collection[str] | None = None
) -> dict[str, str]:
    """What a request carries from an Anthropic client to an Anthropic provider: version and betas are the client's.

    `betas` are those that the provider takes (None: any); a beta that the file itself asks for is always sent.
    """
    headers = dict(fixed)
    if version := client.get("anthropic-version"):
        headers["anthropic-version"] = version
    own = _tokens(fixed.get("anthropic-beta", ""))
    asked = [beta for beta in _tokens(client.get("anthropic-beta", "")) if betas is None or beta in betas]
    if wanted := dict.fromkeys([*own, *asked]):
        headers["anthropic-beta"] = ",".join(wanted)
    return headers


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip())]


OURS = "pb-"
"""What every API key of the gateway begins with; other credentials are somebody else's."""


def caller_auth(client: Mapping[str, str]) -> dict[str, str]:
    """The caller's own credential as it came, for a provider that is declared to take it (and for no other).

    A key of the gateway itself is nobody else's to see.
    """
    shown = {name: client[name] for name in ("x-api-key", "authorization", "api-key") if name in client}
    return {name: value for name, value in shown.items() if not _is_ours(value)}


def _is_ours(value: str) -> bool:
    return any(part.startswith(OURS) for part in value.replace(",", " ").split())


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` without those of one connection, those that `connection` names, and anyone's credentials."""
    named = {token.lower() for token in _tokens(headers.get("connection", ""))}
    return {
        name: value
        for name, value in headers.items()
        if name not in HOP_BY_HOP and name not in named and name not in _CREDENTIALS and not name.startswith("proxy-")
    }


_RATE_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")


def telling_headers(upstream: Mapping[str, str]) -> dict[str, str]:
    """What an error keeps of a provider's headers until its client's dialect is known."""
    return {
        name: value
        for name, value in upstream.items()
        if (name in _KEPT or name.startswith(_RATE_LIMITS)) and _fit(value)
    }


_COPIED = frozenset({"retry-after", "retry-after-ms", "x-should-retry"})
_UPSTREAM_ID = "x-portbroker-upstream-request-id"
_IDS = frozenset({"request-id", "x-request-id"})
_KEPT = _COPIED | _IDS | {"date"}


def answer_headers(upstream: Mapping[str, str], client: str, *, alone: bool = True) -> dict[str, str]:
    """What a client of the dialect `client` gets to see of a provider's headers (or of an error's).

    `alone` says that one provider serves this client: only then are its rate limits the client's.
    """
    copied, identified, limited = _telling(tuple(upstream))
    headers = {name: upstream[name] for name in copied if _sensible(name, upstream[name])} if copied else {}
    if identified and (request_id := upstream.get("request-id") or upstream.get("x-request-id")) and _fit(request_id):
        headers[_UPSTREAM_ID] = request_id
    if limited and alone:
        headers |= {name: value for name, value in rate_limits_for(client, upstream).items() if _fit(value)}
    return headers


@lru_cache(maxsize=256)  # a provider's answers all have the same names: this costs a tenth of looking at each
def _telling(names: tuple[str, ...]) -> tuple[tuple[str, ...], bool, bool]:
    """Of headers of these names: those to copy, whether one is the request's id, whether any are rate limits."""
    copied = tuple(name for name in names if name in _COPIED)
    return copied, not _IDS.isdisjoint(names), any(name.startswith(_RATE_LIMITS) for name in names)


def _fit(value: str) -> bool:
    """Whether a value may be written as a header again."""
    return value.isascii() and value.isprintable() and len(value) <= _LONGEST


def _sensible(name: str, value: str) -> bool:
    """`x-should-retry` is a boolean; a time to wait is a number or a date, and never before now."""
    if name == "x-should-retry":
        return value in ("true", "false")
    return _fit(value) and (value.replace(".", "", 1).isdecimal() or value[:1].isalpha())
