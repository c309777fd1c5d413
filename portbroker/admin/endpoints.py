"""A row of the admin API's table, what its handler is given, and what it gives.

The one rule: what is checked and what is documented come from the same declaration.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel

from portbroker.errors import PortBrokerError

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `how` is how that is known: `key`, `session` (signed in before) or `local` (the same OS user).

    `id` is the key's; "" for those who showed none.
    """

    how: str
    name: str
    id: str = ""


NOBODY = Who("nobody", "nobody")
"""Who asks for what is open."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, matched, signed in and checked: `query` and `body` are instances of the models of its endpoint.

    `params` are the place holders of the path, decoded; `headers` have any spelling of their names; `remote` is the
    address of the other end, which may be a proxy.
    """

    who: Who
    request_id: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    remote: str
    query: Any = None
    body: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is given. `body` is a model or plain values for JSON; bytes go out as they are, as `content_type` says."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def content(self) -> bytes:
        """The bytes of the body."""
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else orjson.dumps(self.body, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(type(value).__name__)


@dataclass(eq=False)
class Refusal(PortBrokerError):
    """An admin call is refused. `param` is the place in the body or query; `more` is put beside the message."""

    status: int
    kind: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


def not_found(what: str, name: str) -> Refusal:
    """There is no such thing."""
    return Refusal(404, "not_found", f"there is no {what} {name[:100]!r}")


Handler = Callable[[Asked], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who asks `method` of `path` (with `{names}`) is answered by `handle`.

    `open`: without a sign-in. `body` and `query` are what is taken (None: nothing), `gives` the models of what is
    given, by status, `fails` the errors beside those that any endpoint may have. `reads` are the headers it looks at,
    `also` the types of content that it gives beside JSON; each by name, with a sentence.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    gives: Mapping[int, type[BaseModel] | None]
    open: bool = False
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    fails: Mapping[int, str] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
