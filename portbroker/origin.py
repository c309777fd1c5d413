"""Where a provider is and how long it may take: values that a snapshot holds and the transport acts on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go, and what they are pooled by. `scheme` is http or https (or `demo`, inside the process)."""

    scheme: str
    host: str
    port: int
    ca_file: str | None = None
    client_cert: str | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, per phase of an attempt."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 300.0
    total: float = 3600.0
