"""A tunnel through an HTTP proxy: what is asked of it, and what it may answer.

The one rule: nothing that a proxy sends is believed but the status, and nothing of it becomes the provider's answer.
"""

import asyncio
import re
import socket

from portbroker.origin import Origin, Proxy
from portbroker.upstream.faults import WireFault
from portbroker.upstream.head import ascii_host

_LONGEST_HEAD = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_WANTS_CREDENTIALS = 407


class _Unfit(Exception):
    """There will be no tunnel; the text completes "the proxy …"."""


async def tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Have a proxy connect this socket, which leads to it, to the origin. Raises `WireFault`.

    How long that may take is for the caller to say. The socket is closed whenever this does not return.
    """
    try:
        await asyncio.get_running_loop().sock_sendall(sock, _request(proxy, origin))
        _check(await _head(sock), proxy)
    except (_Unfit, OSError) as error:
        sock.close()
        what = str(error) if isinstance(error, _Unfit) else "broke the connection off"
        raise WireFault(f"the proxy {proxy} {what}") from error
    except BaseException:  # a cancellation, most of all
        sock.close()
        raise


def _request(proxy: Proxy, origin: Origin) -> bytes:
    host = ascii_host(origin.host)
    place = f"[{host}]:{origin.port}" if ":" in host else f"{host}:{origin.port}"
    credentials = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{credentials}\r\n".encode("ascii")


async def _head(sock: socket.socket) -> bytes:
    """What the proxy answers, as far as the end of the head at least."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _LONGEST_HEAD:
            raise _Unfit(f"answered with a head larger than {_LONGEST_HEAD} bytes")
        data = await loop.sock_recv(sock, _LONGEST_HEAD)
        if not data:
            raise _Unfit(f"closed the connection {'in the middle of its answer' if head else 'without answering'}")
        head += data
    return head


def _check(answer: bytes, proxy: Proxy) -> None:
    """Raises unless the proxy has connected us, and has said nothing more than that."""
    head, _, more = answer.partition(b"\r\n\r\n")
    if not (found := _STATUS.match(head + b"\r\n")):
        raise _Unfit("sent an answer that is not HTTP")
    status = int(found[1])
    if status == _WANTS_CREDENTIALS:
        wanted = "does not accept the credentials" if proxy.authorization else "wants credentials"
        raise _Unfit(f"{wanted} (status {status})")
    if not 200 <= status <= 299:
        raise _Unfit(f"refused to connect (status {status})")
    if more:
        # The origin says nothing before it is asked: taken for its words, this would answer for it.
        raise _Unfit("sent something after its answer that nobody asked for")
