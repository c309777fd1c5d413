"""Admin calls on the database itself, while no server runs: the same endpoints, without the way over HTTP.

The one rule: whoever may read the file and the database is its admin; nothing is done here that a running server would
do otherwise.
"""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from portbroker.cli.admin_client import Fetched, Refused, file_of, running_client
from portbroker.cli.terminal import CommandError
from portbroker.errors import StoreError
from portbroker.state_dir import StateError, state_dir

if TYPE_CHECKING:
    from portbroker.admin.table import Table
    from portbroker.config.load import Loaded
    from portbroker.store import Store


class Office(Protocol):
    """Whoever answers admin calls."""

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that is answered. Raises `CommandError`."""

    def fetch(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Fetched:
        """What is answered, as it came. Raises `CommandError`."""


@contextlib.contextmanager
def office(args: argparse.Namespace) -> Iterator[Office]:
    """The server that the arguments name, or that runs; else the database of the file. Raises `CommandError`."""
    if client := running_client(args):
        yield client
        return
    file = file_of(args)
    if not file.exists():
        raise CommandError(
            f"{file}: no such file, and no server is named", "name one with --url, or the file with --config"
        )
    from portbroker.config.load import load

    with _opened(load(file), file) as offline:
        yield offline


class Offline:
    """Admin calls on an open store."""

    def __init__(self, runner: asyncio.Runner, table: "Table") -> None:
        self._runner = runner
        self._table = table

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self.fetch(method, path, body, headers).json()

    def fetch(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Fetched:
        from portbroker.admin.api import Told, carried_out
        from portbroker.admin.endpoints import Refusal
        from portbroker.admin.signin import LOCAL

        where, _, query = path.partition("?")
        found = self._table.find(where)
        endpoint = found.methods.get(method) if found else None
        if found is None or endpoint is None:
            raise CommandError(f"{where} needs a running server", "start one with `portbroker`")
        data = b"" if body is None else json.dumps(body).encode()
        try:
            answer = self._runner.run(carried_out(endpoint, found, Told(LOCAL, headers=headers or {}), query, data))
        except Refusal as refusal:
            raise Refused(refusal.status, {"message": refusal.message, **refusal.more}) from refusal
        except StoreError as error:
            raise CommandError(str(error)) from error
        return Fetched(answer.status, answer.headers, answer.content())


@contextlib.contextmanager
def _opened(loaded: "Loaded", file: Path) -> Iterator[Offline]:
    from portbroker.keys import Pepper
    from portbroker.state import own_secret
    from portbroker.store.opening import make_store

    with asyncio.Runner() as runner:
        try:
            own = state_dir(file, loaded.config.server.state)
            own.create()
            pepper = Pepper(own_secret(loaded, own))
            store = make_store(loaded.config.database, file.parent)
            runner.run(store.open())
            runner.run(store.check_pepper(pepper.fingerprint))
        except (StoreError, StateError) as error:
            raise CommandError(str(error)) from error
        try:
            yield Offline(runner, _table(store, pepper))
        finally:
            runner.run(store.close())


def _table(store: "Store", pepper: Any) -> "Table":
    from portbroker.admin.api_keys import ApiKeys
    from portbroker.admin.audit import Audit
    from portbroker.admin.table import Table
    from portbroker.admin.usage import Usage

    sections = (ApiKeys(store, pepper), Usage(store), Audit(store))
    return Table(endpoint for section in sections for endpoint in section.endpoints())
