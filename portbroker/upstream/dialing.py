"""Opening a connection to an origin: names, addresses, TLS.

The one rule: a certificate is always verified. (A connection through a proxy would be opened here, too.)
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiohappyeyeballs

from portbroker.origin import Origin
from portbroker.upstream.faults import WireFault

_SECOND_ADDRESS_AFTER = 0.25  # seconds; RFC 8305, section 8

P = TypeVar("P", bound=asyncio.Protocol)


class Dialer:
    """Opens connections; keeps what TLS needs, because reading a trust store takes tens of milliseconds."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str | None, str | None], tuple[list[int], ssl.SSLContext]] = {}

    async def dial(self, origin: Origin, protocol: Callable[[], P]) -> P:
        """A protocol that is connected, over TLS where the scheme says so."""
        loop = asyncio.get_running_loop()
        context = await self._context(origin) if origin.scheme == "https" else None
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_SECOND_ADDRESS_AFTER, loop=loop)
        _, connected = await loop.create_connection(
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
        context = await asyncio.get_running_loop().run_in_executor(None, partial(_read_context, *key))
        self._contexts[key] = (stamps, context)
        return context


def _stamp(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError as error:
        raise WireFault(f"its TLS file {file} cannot be read") from error


def _read_context(ca_file: str | None, client_cert: str | None) -> ssl.SSLContext:
    """The system's trust store, or `ca_file` in its stead; and the certificate that we show."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise WireFault(f"its ca_file {ca_file} holds no certificates") from error
    if client_cert:
        try:
            context.load_cert_chain(client_cert, password="")  # else OpenSSL would ask the terminal for one
        except (OSError, ssl.SSLError) as error:
            raise WireFault(f"its client_cert {client_cert} holds no certificate with an unencrypted key") from error
    context.set_alpn_protocols(["http/1.1"])
    return context
