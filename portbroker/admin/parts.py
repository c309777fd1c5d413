"""What the admin API works with, and the API itself, made when it is first asked for.

The one rule: this is light. A gateway that nobody administers does not import the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from portbroker.admin.scrape import scraped
from portbroker.conversation import Json
from portbroker.gateway import Gateway
from portbroker.keyring import Keyring
from portbroker.metrics import Counts
from portbroker.request import Request
from portbroker.status import LastReload, Status
from portbroker.store import Store
from portbroker.wire import Reply

if TYPE_CHECKING:
    from portbroker.admin.api import Api
    from portbroker.admin.endpoints import Endpoint


class Configuration(Protocol):
    """The file that is served, from whichever process: what changes it asks this to have it served."""

    @property
    def path(self) -> Path:
        """The file."""

    async def reload(self, cause: str, *, dry: bool = False) -> LastReload:
        """How it went; with several workers, once every one of them serves it. `dry`: how it would."""

    async def told(self) -> Json:
        """What is served, by which processes, and how the last reload went."""


class Section(Protocol):
    """A class that has some rows of the table."""

    def endpoints(self) -> "Collection[Endpoint]":
        """Its rows."""


@dataclass(slots=True)
class Parts:
    """What endpoints are made of. `token` is what commands of the same OS user show; "" lets no one in by it.

    `configuration` is set by whoever follows the file, as soon as it does. `counts` gives what all processes have
    counted, and how reloading goes; `spool` is where usage waits for the database. `secret` is what this installation
    keeps to itself; with `store` and `keyring` there are keys, and signing in. `health` tells how providers
    are in all workers, where there are several.
    """

    gateway: Gateway
    counts: Callable[[], Awaitable[tuple[Counts, Status]]]
    configuration: Configuration | None = None
    token: str = ""
    store: Store | None = None
    keyring: Keyring | None = None
    secret: bytes = field(default=b"", repr=False)
    spool: Path | None = None
    health: Callable[[], Awaitable[list[Json]]] | None = None


class Admin:
    """Answers admin calls from the first one on."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._api: Api | None = None
        self._making = asyncio.Lock()

    async def handle(self, request: Request) -> Reply:
        """Carry out one admin call."""
        if self._api is None and (reply := await scraped(request, self._parts)):
            return reply
        return await (self._api or await self._made()).handle(request)

    async def _made(self) -> "Api":
        """The API, made in a thread: it takes a tenth of a second, and streams must not wait for it."""
        async with self._making:
            if self._api is None:
                self._api = await asyncio.to_thread(_joined, self._parts)
        return self._api


def _joined(parts: Parts) -> "Api":
    from portbroker.admin.joined import joined  # what only an admin needs costs memory and start-up time

    return joined(parts)
