"""The head of a request as bytes. The one rule: what could end a header early is refused before anything is written."""

import re
from functools import lru_cache

from portbroker.upstream.faults import WireFault, authority
from portbroker.upstream.interface import UpstreamRequest

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

# Written by the transport itself, or a matter of one connection only.
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


def request_head(request: UpstreamRequest) -> bytes:
    """Request line and headers, with the blank line. Raises `WireFault` on what must not be written."""
    origin = request.origin
    opening = _opening(request.method, request.target, origin.scheme, origin.host, origin.port)
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items() if _sendable(name)]
    length = f"content-length: {len(request.body)}\r\n\r\n" if request.body or request.method != "GET" else "\r\n"
    head = "".join(lines)
    if head.count("\n") != len(lines) or head.count("\r") != len(lines) or "\0" in head:
        raise WireFault("cannot be asked: a header to be sent holds a line break or a NUL")
    try:
        return f"{opening}{head}{length}".encode()
    except UnicodeEncodeError as error:
        raise WireFault("cannot be asked: a header to be sent is no valid text") from error


@lru_cache(maxsize=1024)
def _opening(method: str, target: str, scheme: str, host: str, port: int) -> str:
    """The lines that every request to this place begins with."""
    if method not in _METHODS or not _TARGET.fullmatch(target):
        raise WireFault("cannot be asked: method or path cannot be written as HTTP")
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise WireFault("cannot be asked: the host name is not valid") from error
    if not name or not re.fullmatch(r"[!-~]+", name):
        raise WireFault("cannot be asked: the host name is not valid")
    # Compressed answers cost both sides time and hide events in a decoder's buffer.
    return f"{method} {target} HTTP/1.1\r\nhost: {authority(scheme, name, port)}\r\naccept-encoding: identity\r\n"


@lru_cache(maxsize=1024)
def _sendable(name: str) -> bool:
    """Whether a header of this name is the caller's to send."""
    if not _TOKEN.fullmatch(name):
        raise WireFault("cannot be asked: a header name to be sent is not valid")
    return name.lower() not in _OURS
