"""Admin calls for tests: a real client of a real gateway, signed in or not."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from portbroker.app import running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load, load_text
from portbroker.keyring import Keyring
from portbroker.keys import Pepper
from portbroker.reload import Reloader, reloading
from portbroker.store import Store
from portbroker.store.called import CalledStore
from portbroker.store.sqlite import SqliteDatabase

Json = dict[str, Any]
TOKEN = "local-token-of-a-test-that-nobody-can-guess"
EMPTY = "providers: []\n"


class Answered:
    """What came back."""

    def __init__(self, status: int, headers: Any, raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> Json:
        error: Json = self.json["error"]
        return error


class Admin:
    """A client of one gateway's admin API."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session, self.url, self.token = session, url, token

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        """One call, with the path exactly as it stands here."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=data, headers=sent) as response:
            return Answered(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answered:
        return await self.ask("POST", path, body, **headers)

    def signed_out(self) -> "Admin":
        """The same client without a credential."""
        return Admin(self.session, self.url, "")

    def as_(self, token: str) -> "Admin":
        """The same client with another credential."""
        return Admin(self.session, self.url, token)


SECRET = b"the secret of an installation, 32+ bytes"


@dataclass
class Kept:
    """The database of one test, and what it takes to know a key."""

    store: Store
    keyring: Keyring


@contextlib.asynccontextmanager
async def kept_in(directory: Path) -> AsyncIterator[Kept]:
    """A new database there, open."""
    store = CalledStore(SqliteDatabase(directory / "portbroker.db"))
    await store.open()
    keyring = Keyring(store, Pepper(SECRET))
    keyring.start()
    try:
        yield Kept(store, keyring)
    finally:
        await keyring.stop()
        await store.close()


@contextlib.asynccontextmanager
async def admin_of(text: str = EMPTY, *, token: str = TOKEN, kept: Kept | None = None) -> AsyncIterator[Admin]:
    """The admin API of a gateway that serves this file and follows none; with `kept` there are keys."""
    snapshot = compile_snapshot(load_text(text.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={}))
    async with (
        running(snapshot, host="127.0.0.1", port=0, max_body=4 * 1024 * 1024, token=token) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        if kept:
            listening.parts.store, listening.parts.keyring, listening.parts.secret = kept.store, kept.keyring, SECRET
        yield Admin(session, listening.url, token)


@contextlib.asynccontextmanager
async def admin_of_file(path: Path, *, kept: Kept | None = None) -> AsyncIterator[Admin]:
    """The admin API of a gateway that serves the file at `path` and follows it."""
    loaded = load(path, environ={})
    snapshot = compile_snapshot(loaded)
    async with (
        running(snapshot, host="127.0.0.1", port=0, max_body=4 * 1024 * 1024, token=TOKEN) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        reloader = Reloader(path, loaded, snapshot, listening)
        listening.parts.configuration = reloader
        if kept:
            listening.parts.store, listening.parts.keyring, listening.parts.secret = kept.store, kept.keyring, SECRET
        async with reloading(reloader):
            yield Admin(session, listening.url, TOKEN)
