"""Failed sign-ins, by the address that they come from: a guesser waits, and the database is not asked for each guess.

The one rule: the address is the other end of the connection. What a header says of it, anyone can write.
"""

import ipaddress
import time
from collections.abc import Callable

from portbroker.admin.endpoints import Refusal

ALLOWED = 10
"""Failures in a row, from one address; then one more each `WINDOW` / `ALLOWED` seconds."""
WINDOW = 60.0
MOST = 4096
"""Addresses that are remembered."""


class Failures:
    """A bucket for each address: a failure fills it, time empties it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, tuple[float, float]] = {}

    def check(self, remote: str) -> None:
        """Raises `Refusal` (429) when too many have failed from there."""
        level = self._level(_network(remote))
        if level > ALLOWED - 1:
            wait = max(1, round((level - ALLOWED + 1) * WINDOW / ALLOWED))
            message = "too many failed sign-ins from this address; wait, then show a credential that is good"
            raise Refusal(429, "rate_limit", message, headers={"retry-after": str(wait)})

    def add(self, remote: str) -> None:
        """A sign-in from there has failed."""
        network = _network(remote)
        level = self._level(network) + 1
        self._full_at.pop(network, None)
        while len(self._full_at) >= MOST:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[network] = (level, self._clock())

    def _level(self, network: str) -> float:
        level, at = self._full_at.get(network, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * ALLOWED / WINDOW)


def _network(remote: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address, which is one customer's."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote[:64]
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
