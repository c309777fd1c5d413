"""Who may call: whoever shows a key, or is on this machine where that is enough; never a web page that somebody's
browser shows there.

A page can have its visitor's browser send requests to this machine: as a simple POST across sites, which carries the
page's Origin, or by a name of its own that resolves to 127.0.0.1, which then stands in Host. The one rule: whoever
shows no key, and whatever says that it comes from elsewhere, is refused, for every path that is not open to all.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from portbroker.caller import LOCAL, Caller
from portbroker.errors import CallError
from portbroker.headers import OURS
from portbroker.keyring import Keyring

OPEN = frozenset({"/", "/health"})
"""Paths that anyone may ask, where the gateway can be reached from elsewhere at all."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Auth:
    """Tells who calls. `local`: whoever is on this machine may call without a key. Without `keys`, none is known."""

    def __init__(self, keys: Keyring | None = None, *, local: bool) -> None:
        self._keys = keys
        self._local = local

    async def identify(self, headers: Mapping[str, str], path: str) -> Caller:
        """Who sends a request with these headers for this path, as it was sent.

        Raises `CallError` (401, 403), and `GatewayError` (503) when nobody can say.
        """
        shown = shown_key(headers)
        if self._local:
            if shown is None or not shown.startswith(OURS):
                refuse_strangers(headers)
                return LOCAL
        elif path in OPEN:
            return LOCAL
        elif shown is None:
            raise _lacking()
        if self._keys is None:
            raise CallError("this API key is not known here", kind="auth", status=401, code="invalid_api_key")
        caller = await self._keys.caller(shown)
        if caller.routes is not None:
            caller.check_route(path)
        return caller


def _lacking() -> CallError:
    how = "send it as `Authorization: Bearer pb-...`, as `x-api-key` or as `api-key`"
    return CallError(f"this gateway needs an API key: {how}", kind="auth", status=401)


def shown_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request shows, in any of the headers that clients use; ours before anyone else's."""
    shown = _bearer(headers.get("authorization"))
    for name in ("x-api-key", "api-key"):
        if (key := headers.get(name)) and (key := key.strip()) and not (shown and shown.startswith(OURS)):
            shown = key if shown is None or key.startswith(OURS) else shown
    return shown


def _bearer(authorization: str | None) -> str | None:
    if not authorization:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


def refuse_strangers(headers: Mapping[str, str]) -> None:
    """Raises `CallError` (403) for a request whose Host or Origin is not this machine."""
    host, origin = headers.get("host"), headers.get("origin")
    if host is not None and not _is_here(host):
        raise _stranger("Host", host, "send it to localhost or 127.0.0.1; a proxy in front must set that Host")
    if origin is not None and not _is_here(origin.partition("://")[2]):
        raise _stranger("Origin", origin, "web pages from elsewhere may not call it")


def _stranger(header: str, value: str, advice: str) -> CallError:
    return CallError(
        f"without an API key this gateway answers only what comes from this machine, and the {header} header says "
        f"{value[:100]!r}: {advice}",
        kind="permission",
        status=403,
        param=header.lower(),
    )


@lru_cache(maxsize=256)
def _is_here(authority: str) -> bool:
    """Whether `host`, `host:port` or `[address]:port` is this machine."""
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    return is_loopback(host.lower()) and (not port or port.isdecimal())
