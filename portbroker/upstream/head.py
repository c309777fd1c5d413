"""Heads: that of a request as bytes, that of an answer by name.

The one rule: what two readers could understand differently is neither written nor believed.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from portbroker.upstream.faults import WireFault, authority
from portbroker.upstream.interface import UpstreamRequest
from portbroker.upstream.limits import Limits

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_KEPT = 256
"""Heads that are kept for an origin."""
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

# Written by the transport itself, or a matter of one connection only.
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


class Heads:
    """The heads of requests to one origin; what they have in common call after call is written once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[Mapping[str, str], bytes]] = {}

    def of(self, request: UpstreamRequest) -> bytes:
        """Request line and headers, with the blank line. Raises `WireFault` on what must not be written."""
        if not request.lasting or request.method != "POST":
            return request_head(request)
        key = (id(request.headers), request.target)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            # The headers are kept with their lines: as long as they are, nothing else has their id.
            self._kept[key] = kept = (request.headers, _lines(request))
        return b"%bcontent-length: %d\r\n\r\n" % (kept[1], len(request.body))


def request_head(request: UpstreamRequest) -> bytes:
    """Request line and headers, with the blank line. Raises `WireFault` on what must not be written."""
    length = b"content-length: %d\r\n\r\n" % len(request.body) if request.body or request.method != "GET" else b"\r\n"
    return _lines(request) + length


def _lines(request: UpstreamRequest) -> bytes:
    """The head without what depends on the body."""
    origin = request.origin
    opening = _opening(request.method, request.target, origin.scheme, origin.host, origin.port)
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items() if _sendable(name)]
    head = "".join(lines)
    if head.count("\n") != len(lines) or head.count("\r") != len(lines) or "\0" in head:
        raise WireFault("cannot be asked: a header to be sent holds a line break or a NUL")
    try:
        return f"{opening}{head}".encode()
    except UnicodeEncodeError as error:
        raise WireFault("cannot be asked: a header to be sent is no valid text") from error


@lru_cache(maxsize=1024)
def _opening(method: str, target: str, scheme: str, host: str, port: int) -> str:
    """The lines that every request to this place begins with."""
    if method not in _METHODS or not _TARGET.fullmatch(target):
        raise WireFault("cannot be asked: method or path cannot be written as HTTP")
    name = authority(scheme, ascii_host(host), port)
    # Compressed answers cost both sides time and hide events in a decoder's buffer.
    return f"{method} {target} HTTP/1.1\r\nhost: {name}\r\naccept-encoding: identity\r\n"


def ascii_host(host: str) -> str:
    """The host as it is written in a head. Raises `WireFault` for what is no name of one."""
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise WireFault("cannot be asked: the host name is not valid") from error
    if not name or not re.fullmatch(r"[!-~]+", name):
        raise WireFault("cannot be asked: the host name is not valid")
    return name


@lru_cache(maxsize=1024)
def _sendable(name: str) -> bool:
    """Whether a header of this name is the caller's to send."""
    if not _TOKEN.fullmatch(name):
        raise WireFault("cannot be asked: a header name to be sent is not valid")
    return name.lower() not in _OURS


def answer_headers(fields: list[tuple[bytes, bytes]], received: int, limits: Limits) -> dict[str, str]:
    """Headers by name in lower case, values of one name joined. `received` bytes cannot hold more than that."""
    if len(fields) > limits.headers:
        raise WireFault(f"sent more than {limits.headers} headers")
    if received > limits.head_bytes and sum(map(_size, fields)) > limits.head_bytes:
        raise WireFault(f"sent a head larger than {limits.head_bytes} bytes")
    headers: dict[str, str] = {}
    for field, value in fields:
        name = _name(field)
        text = value.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise WireFault("answered in a transfer-encoding that is not known here")
    return headers


@lru_cache(maxsize=1024)
def _name(field: bytes) -> str:
    return field.decode("latin-1").lower()


def _size(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1])
