"""The table of endpoints: a path -> what it offers, by method, and what stood in its place holders.

The one rule: a path is compared as it was sent. Only what stands in a place holder is decoded, once, after the match:
no spelling of a path leads anywhere that its plain spelling does not.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from portbroker.admin.endpoints import Endpoint

_LONGEST = 256
"""Characters of what may stand in a place holder."""
_ESCAPES = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True)
class Found:
    """What a path offers, by method."""

    methods: Mapping[str, Endpoint]
    params: Mapping[str, str]


class Table:
    """All endpoints. Raises ValueError for two of one method and path."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._paths: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            methods = self._paths.setdefault(endpoint.path, {})
            if endpoint.method in methods:
                raise ValueError(f"{endpoint.method} {endpoint.path} is in the table twice")
            methods[endpoint.method] = endpoint
        # A path without place holders is nearer than one with them.
        self._patterns = sorted(
            (tuple(path.split("/")), methods) for path, methods in self._paths.items() if "{" in path
        )  # fmt: skip

    def __iter__(self) -> Iterator[Endpoint]:
        return (endpoint for methods in self._paths.values() for endpoint in methods.values())

    def find(self, path: str) -> Found | None:
        """What is offered there; None for nothing."""
        if (methods := self._paths.get(path)) and "{" not in path:
            return Found(methods, {})
        given = path.split("/")
        for pattern, methods in self._patterns:
            if (params := _taken(pattern, given)) is not None:
                return Found(methods, params)
        return None


def _taken(pattern: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    """What stands in the place holders; None when the path is another."""
    if len(pattern) != len(given):
        return None
    params = {}
    for wanted, step in zip(pattern, given, strict=True):
        if not wanted.startswith("{"):
            if wanted != step:
                return None
        elif (value := _decoded(step)) is None:
            return None
        else:
            params[wanted[1:-1]] = value
    return params


def _decoded(step: str) -> str | None:
    """What stands there; None for what no name can be."""
    if not _ESCAPES.fullmatch(step):
        return None
    try:
        value = unquote(step, errors="strict")
    except UnicodeDecodeError:
        return None
    return value if len(value) <= _LONGEST and value.isprintable() else None
