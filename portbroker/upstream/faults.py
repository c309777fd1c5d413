"""What went wrong with an attempt, in plain words: provider, host and phase, and never a credential.

The one rule: every failure of the transport is worded here, so that operators meet the same few sentences everywhere.
"""

import errno
import socket
import ssl

from portbroker.errors import Kind, ProviderError
from portbroker.upstream.interface import UpstreamRequest

_DEFAULT_PORTS = {"http": 80, "https": 443}


class WireFault(Exception):
    """Something that cannot be written to, or taken from, a connection; the text completes "<provider> …"."""


def authority(scheme: str, host: str, port: int) -> str:
    """Host and port as a Host header writes them: the scheme's own port left out, IPv6 in brackets."""
    name = f"[{host}]" if ":" in host else host
    return name if _DEFAULT_PORTS.get(scheme) == port else f"{name}:{port}"


def fault(request: UpstreamRequest, what: str, kind: Kind = "api") -> ProviderError:
    """An error that says what `what` says of the provider of this request."""
    origin = request.origin
    host = authority(origin.scheme, origin.host, origin.port)
    subject = f"{request.provider} ({host})" if request.provider else host
    return ProviderError(f"{subject} {what}", kind=kind, provider=request.provider)


def timed_out(request: UpstreamRequest, what: str, seconds: float) -> ProviderError:
    """A phase took longer than it may."""
    return fault(request, f"{what} within {seconds:g} s", "timeout")


def unreachable(request: UpstreamRequest, error: Exception) -> ProviderError:
    """No connection could be opened."""
    return fault(
        request, f"cannot be reached: {reason(error)}", "timeout" if isinstance(error, TimeoutError) else "api"
    )


def broken_off(request: UpstreamRequest, *, begun: bool, error: Exception | None) -> ProviderError:
    """The connection ended before the answer did. TLS 1.3 tells only then that it wants a client certificate."""
    when = "in the middle of its answer" if begun else "without answering"
    why = f" ({reason(error)})" if isinstance(error, ssl.SSLError) else ""
    return fault(request, f"closed the connection {when}{why}")


def reason(error: Exception) -> str:
    """Why a connection could not be opened, without addresses or paths that Python would add."""
    if isinstance(error, WireFault):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the network gave up connecting"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '').rstrip('.') or 'refused'})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({getattr(error, 'reason', None) or 'handshake broken off'})"  # not every one has it
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "the host name cannot be resolved"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "the connection was closed while it was being opened"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "the gateway has no file descriptor left"
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return "no route to the host"
    return "the connection failed"
