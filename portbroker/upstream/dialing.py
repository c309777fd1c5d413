"""Opening a connection to an origin: names, addresses, the proxy between, TLS.

The one rule: TLS is with the origin, whoever is between.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiohappyeyeballs

from portbroker import tls
from portbroker.origin import Origin, Proxy
from portbroker.upstream.faults import WireFault, reason
from portbroker.upstream.tunnel import tunnel

_SECOND_ADDRESS_AFTER = 0.25  # seconds; RFC 8305, section 8

P = TypeVar("P", bound=asyncio.Protocol)


class Dialer:
    """Opens connections; keeps what TLS needs, because reading a trust store takes tens of milliseconds."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str | None, str | None], tuple[list[int], ssl.SSLContext]] = {}

    async def dial(self, origin: Origin, protocol: Callable[[], P]) -> P:
        """A protocol that is connected, over TLS where the scheme says so."""
        context = await self._context(origin) if origin.scheme == "https" else None
        if origin.proxy is None:
            sock = await _connect(origin.host, origin.port)
        else:
            sock = await _connect_through(origin.proxy, origin)
        _, connected = await asyncio.get_running_loop().create_connection(
            protocol, sock=sock, ssl=context, server_hostname=origin.host if context else None
        )
        return connected

    async def _context(self, origin: Origin) -> ssl.SSLContext:
        """What TLS to this origin needs, read again when one of its files has changed."""
        key = (origin.ca_file, origin.client_cert)
        stamps = [_stamp(file) for file in key if file]
        known = self._contexts.get(key)
        if known and known[0] == stamps:
            return known[1]
        context = await asyncio.get_running_loop().run_in_executor(None, _read_context, *key)
        self._contexts[key] = (stamps, context)
        return context


async def _connect(host: str, port: int) -> socket.socket:
    """A socket that is connected to one of the addresses of a name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_SECOND_ADDRESS_AFTER, loop=loop)


async def _connect_through(proxy: Proxy, origin: Origin) -> socket.socket:
    """A socket with the origin at its other end, by way of a proxy."""
    try:
        sock = await _connect(proxy.host, proxy.port)
    except (OSError, UnicodeError) as error:
        raise WireFault(f"the proxy {proxy} cannot be reached ({reason(error)})") from error
    await tunnel(sock, proxy, origin)
    return sock


def _stamp(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError as error:
        raise WireFault(f"its TLS file {file} cannot be read") from error


def _read_context(ca_file: str | None, client_cert: str | None) -> ssl.SSLContext:
    """Whom we trust, and the certificate that we show."""
    file = f"ca_file {ca_file}"
    try:
        context = tls.trusting(ca_file)
        if client_cert:
            file = f"client_cert {client_cert}"
            tls.show(context, client_cert)
    except tls.UnfitFile as error:
        raise WireFault(f"its {file} {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context
