"""Sockets that clients connect to. The one rule: they are bound once, and whoever serves on them is handed them."""

import contextlib
import errno
import socket
from collections.abc import Sequence

from portbroker.auth import is_loopback
from portbroker.errors import PortBrokerError

BACKLOG = 2048
"""Connections that may wait to be accepted."""
_LACKING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class StartError(PortBrokerError):
    """The server cannot start; the message says what to change."""


def bind(host: str, port: int, *, keys: bool = False) -> tuple[socket.socket, ...]:
    """Sockets that listen on every address of `host`, all at one port (0: a free one).

    `keys` says that whoever calls from elsewhere must show a key. Raises `StartError` when the server may not or
    cannot listen there.
    """
    if not keys and not is_loopback(host):
        raise StartError(
            f"refusing to listen on {host}: without API keys, anyone who reaches that address could spend your "
            "credentials; use 127.0.0.1"
        )
    try:
        return _listening(host, port)
    except OSError as error:
        advice = "set another port (server.port or PORT)" if error.errno == errno.EADDRINUSE else "see server.host"
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}; {advice}") from error


def url_of(sockets: Sequence[socket.socket]) -> str:
    """Where clients reach the first of them."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def waiting(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """The connections that clients have made and nobody has accepted: closing the socket would break them."""
    accepted: list[socket.socket] = []
    for sock in sockets:
        with contextlib.suppress(OSError):  # BlockingIOError: none is left
            while True:
                accepted.append(sock.accept()[0])
    return accepted


def close(sockets: Sequence[socket.socket]) -> None:
    """Listen no longer, as far as this process is concerned."""
    for sock in sockets:
        sock.close()


def _listening(host: str, port: int) -> tuple[socket.socket, ...]:
    """One socket for each address of the host. One that this machine lacks is left out, as `localhost` often names
    `::1` where there is none."""
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    for family, address in _addresses(host):
        try:
            sockets.append(_listen(family, address, sockets[0].getsockname()[1] if sockets else port))
        except OSError as error:
            if error.errno not in _LACKING:
                close(sockets)
                raise
            lacking = error
    if lacking and not sockets:
        raise lacking
    return tuple(sockets)


def _addresses(host: str) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listen(family: int, address: str, port: int) -> socket.socket:
    sock = socket.create_server((address, port), family=family, backlog=BACKLOG)
    sock.setblocking(False)
    return sock
