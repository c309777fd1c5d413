"""Who may call. Without API keys, whoever is on this machine; never a web page that somebody's browser shows there.

A page can have its visitor's browser send requests to this machine: as a simple POST across sites, which carries the
page's Origin, or by a name of its own that resolves to 127.0.0.1, which then stands in Host. The one rule: what says
that it comes from elsewhere is refused.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from portbroker.errors import CallError


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_strangers(headers: Mapping[str, str]) -> None:
    """Raises `CallError` (403) for a request whose Host or Origin is not this machine."""
    host, origin = headers.get("host"), headers.get("origin")
    if host is not None and not _is_here(host):
        raise _stranger("Host", host, "send it to localhost or 127.0.0.1; a proxy in front must set that Host")
    if origin is not None and not _is_here(origin.partition("://")[2]):
        raise _stranger("Origin", origin, "web pages from elsewhere may not call it")


def _stranger(header: str, value: str, advice: str) -> CallError:
    return CallError(
        f"this gateway has no API keys, so it answers only what comes from this machine, and the {header} header says "
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
