"""How much of anything the transport takes. The one rule: whatever a provider can send has a bound here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for each origin and each answer. An answer beyond them fails; it is never cut short and passed on."""

    connections: int = 1024
    """Connections to one origin, idle ones included; further attempts queue in the order they came."""
    idle_connections: int = 256
    idle_seconds: float = 60.0
    """How long an unused connection is kept. Load balancers drop theirs after 60 seconds or more."""
    headers: int = 200
    head_bytes: int = 64 * 1024
    """Bytes of an answer that are no body: status line, headers, interim answers, chunk extensions, trailers."""
    body_bytes: int = 256 * 1024 * 1024
    """Bytes of one answer, as received and as decoded."""
    ratio: int = 100
    """How many bytes a compressed byte may become, once an answer is larger than a megabyte."""
