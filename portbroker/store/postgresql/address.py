"""What a PostgreSQL URL says. The one rule: what people are shown has no user and no password in it."""

from urllib.parse import parse_qsl, urlencode, urlsplit

_OF_OTHER_CLIENTS = frozenset({"channel_binding", "connect_timeout", "gssencmode", "pgbouncer", "schema"})
"""Parameters that providers put into their URLs and asyncpg would hand on to the server, which refuses them."""


def driver_url(url: str) -> str:
    """The URL as asyncpg takes it."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, True) if name not in _OF_OTHER_CLIENTS]
    # By hand: an address without a host needs its two slashes all the same.
    return f"postgresql://{parts.netloc}{parts.path}" + (f"?{urlencode(query)}" if query else "")


def shown(url: str) -> str:
    """Host, port and database, for people."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
