"""Where a provider that is posted may be: anywhere that a person would put one, and never where a machine keeps what it
tells itself.

Private networks are allowed, for that is where people run models. The one rule: an address is judged as an address,
however it is spelled.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

_METADATA = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_ALIBABA = ipaddress.ip_address("100.100.100.200")
_AWS_V6 = ipaddress.ip_address("fd00:ec2::254")


def refuse_destination(url: str) -> None:
    """Raises ValueError for the URL of a machine's own metadata, of link-local and of meaningless addresses."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        raise ValueError("is no URL") from None
    if host in _METADATA or host.endswith((".metadata.google.internal", ".ec2.internal")):
        raise ValueError("leads to the metadata of this machine, which is no provider")
    address = _address(host)
    if address is None:
        return
    if address.is_link_local or address in (_ALIBABA, _AWS_V6):
        raise ValueError("leads to the metadata of this machine, which is no provider")
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback):
        raise ValueError("is an address that no provider can have")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, in any spelling that the system takes for one (`0x7f.1`, `2852039166`); or None."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or _nat64(address) or address
    return address


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inside = address in ipaddress.ip_network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if inside else None
