"""Where a provider is, how connections get there, and how long all may take: values that the transport acts on.

The one rule: what connections are pooled by is in `Origin`, and a credential in it is never shown.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `authorization` is what it is shown to let us through; as text, a proxy is its host and port."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go, and what they are pooled by. `scheme` is http or https (or `demo`, inside the process)."""

    scheme: str
    host: str
    port: int
    ca_file: str | None = None
    client_cert: str | None = None
    proxy: Proxy | None = None
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept, because each call finds its connections by it.
        where = (self.scheme, self.host, self.port, self.ca_file, self.client_cert, self.proxy)
        object.__setattr__(self, "_hash", hash(where))

    def __hash__(self) -> int:
        return self._hash


def _never(origin: Origin) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Way:
    """How connections to a provider leave: with which TLS files, and through which proxy but for `direct` places."""

    ca_file: str | None = None
    client_cert: str | None = None
    proxy: Proxy | None = None
    direct: Callable[[Origin], bool] = _never

    def to(self, url: str) -> Origin:
        """Where the connections for a URL go."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        origin = Origin(parts.scheme, parts.hostname or "", port, self.ca_file, self.client_cert)
        return origin if self.direct(origin) else replace(origin, proxy=self.proxy)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, per phase of an attempt."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 300.0
    total: float = 3600.0
