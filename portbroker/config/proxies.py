"""Proxies: what a URL says of one, what the environment says, and who is not to be reached through it.

The one rule: a proxy's URL may hold a password, so nothing of it comes into a message but its scheme.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from portbroker.config.environment import Environment
from portbroker.config.values import plain_ascii, without_control_characters
from portbroker.errors import Problem
from portbroker.origin import Origin, Proxy

DIRECT = "none"
"""The word for: without a proxy, whatever the environment says."""

_FORM = "must be http://host:port, or http://user:password@host:port"
_OTHER_SCHEMES = frozenset(("https", "socks4", "socks4a", "socks5", "socks5h"))
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.[0-9]+){3}|::1")
_ENTRY = re.compile(r"(?:\*?\.)?(?P<host>\[[^\]]*\]|[^:]+|[^:]*(?::[^:]*){2,})(?::(?P<port>[0-9]+))?")


def proxy_of(url: str) -> Proxy:
    """The proxy that a URL names. Raises ValueError."""
    plain_ascii(without_control_characters(url))
    scheme, found, rest = url.partition("://")
    if scheme.lower() in _OTHER_SCHEMES:
        raise ValueError(f"{_FORM}: proxies that speak {scheme.lower()} cannot be used")
    if scheme.lower() != "http" or not found:
        raise ValueError(_FORM)
    try:
        parts = urlsplit(f"http://{rest}")
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port = "", 0
    if not _HOST.fullmatch(host) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{_FORM}; in a password, / is written %2F, : %3A and @ %40")
    return Proxy(host, port, _authorization(parts.username, parts.password))


def _authorization(user: str | None, password: str | None) -> str:
    if user is None and password is None:
        return ""
    name = unquote(user or "")
    if ":" in name:
        raise ValueError(f"{_FORM}; the name of a user cannot hold a colon")
    return "Basic " + b64encode(f"{name}:{unquote(password or '')}".encode()).decode()


def _word(value: SecretStr) -> SecretStr:
    if value.get_secret_value() != DIRECT:
        proxy_of(value.get_secret_value())
    return value


ProxyWord = Annotated[
    SecretStr,
    AfterValidator(_word),
    Field(min_length=1),
    WithJsonSchema({
        "type": "string",
        "pattern": r"^none$|://|^\{\{",
        "patternErrorMessage": f"{_FORM}, or none to go direct",
    }),
]  # fmt: skip
"""A proxy's URL, or `none`."""


@dataclass(frozen=True, slots=True)
class NoProxy:
    """Where the environment's proxy is not used: for all but https, on this machine, and as NO_PROXY says."""

    entries: tuple[tuple[str, str], ...] = ()
    """Host, or the end of one, and port, or nothing for all of them."""

    def __call__(self, origin: Origin) -> bool:
        host = origin.host.lower().rstrip(".")
        if origin.scheme != "https" or _LOOPBACK.fullmatch(host):
            return True
        return any(_is_in(host, name) and port in ("", str(origin.port)) for name, port in self.entries)


def _is_in(host: str, name: str) -> bool:
    return name == "*" or host == name or host.endswith(f".{name}")


def no_proxy(text: str) -> NoProxy:
    """What a value of NO_PROXY says."""
    entries = (_ENTRY.fullmatch(entry) for entry in text.lower().replace(",", " ").split())
    return NoProxy(tuple((entry["host"].strip("[]").rstrip("."), entry["port"] or "") for entry in entries if entry))


def of_environment(environment: Environment) -> tuple[Proxy | None, NoProxy, list[Problem]]:
    """The proxy for https, where it is not used, and what is wrong with it."""
    name, url = _variable(environment, "https_proxy")
    direct = no_proxy(_variable(environment, "no_proxy")[1])
    if not url:
        return None, direct, []
    try:
        return proxy_of(url if "://" in url else f"http://{url}"), direct, []
    except ValueError as error:
        hint = "correct the variable; or a provider that says `proxy: none`, or names its own, does not heed it"
        return None, direct, [Problem(environment.origin(name), 0, 0, f"{name} {error}", name, hint)]


def _variable(environment: Environment, name: str) -> tuple[str, str]:
    """The variable of this name in small letters or in capitals: first the process's own, then those of `.env`."""
    found = [known for known in (name, name.upper()) if known in environment.variables]
    found.sort(key=lambda known: environment.origin(known) == ".env")
    return (found[0], environment.variables[found[0]].strip()) if found else (name, "")
