"""The run-time state of one process: who may call, what they may spend, what they have used.

It is opened while calls are answered already: whoever shows no key, where none is needed, does not wait for a database.
The one rule: what is joined here is stopped here, in the order in which calls need it.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from portbroker.admission import Admission
from portbroker.auth import Auth, is_loopback
from portbroker.books import Books
from portbroker.config.callers import age_seconds
from portbroker.config.load import Loaded
from portbroker.counters import Counters
from portbroker.errors import StoreDown, StoreError
from portbroker.first_key import ensure_admin
from portbroker.keyring import Keyring
from portbroker.keys import Pepper
from portbroker.quotas import LocalQuotas, Quotas, SharedQuotas
from portbroker.recorder import Recorder
from portbroker.spool import Spool
from portbroker.state_dir import StateDir, StateError, made_once, state_dir
from portbroker.store import Store
from portbroker.store.opening import make_store
from portbroker.upkeep import Upkeep

if TYPE_CHECKING:
    from portbroker.redis_buckets import RedisBuckets

log = logging.getLogger("portbroker")

_LONGEST_WAIT = 5.0


@dataclass(eq=False, slots=True)
class State:
    """Everything that outlives calls and configurations, of one process. `local`: see `Auth`."""

    directory: StateDir
    store: Store
    secret: bytes
    keyring: Keyring
    recorder: Recorder
    books: Books
    upkeep: Upkeep
    quotas: Quotas
    redis: "RedisBuckets | None"
    admin_key: str
    needs_key: bool
    failure: str = ""
    """Why the database can never be used like this."""

    def auth(self, sockets: Sequence[socket]) -> Auth:
        """Who may call on these sockets: beyond this machine, nobody without a key."""
        here = all(is_loopback(str(sock.getsockname()[0])) for sock in sockets)
        return Auth(self.keyring, local=here and not self.needs_key)

    async def open(self, failed: Callable[[], None]) -> None:
        """Open the database, as soon as it can be reached, and begin with what needs it.

        `failed` is called when waiting is not all that it takes; then `failure` says what does.
        """
        wait = 0.5
        while not await self._opened():
            if self.failure:
                failed()
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT, wait * 2)
        self.keyring.start()
        self.recorder.start()
        self.upkeep.start()

    async def _opened(self) -> bool:
        try:
            await self.store.open()
            await self.store.check_pepper(self.keyring.pepper.fingerprint)
            await ensure_admin(self.store, self.keyring.pepper, self.admin_key, self.directory)
        except StoreDown as error:
            log.warning("the database is away: %s", error)
        except (StoreError, StateError) as error:
            self.failure = f"the database cannot be used: {error}"
            log.error(self.failure)  # noqa: TRY400 - the message says what to do
        else:
            self.failure = ""
            log.info("keys and usage are in %s", self.store.place)
            return True
        return False

    async def stop(self) -> None:
        """Write down what is not written yet, and let go of the database. No call is under way."""
        await self.upkeep.stop()
        await self.quotas.stop()
        if self.redis is not None:
            await self.redis.close()
        await self.recorder.stop()
        await self.keyring.stop()
        with contextlib.suppress(StoreError):
            await self.store.close()


def make_state(loaded: Loaded, directory: Path, counters: Counters) -> State:
    """The state as the file says, nothing of it opened; `directory` is that of the file.

    Raises `StoreError` and `StateError` with what to do.
    """
    config = loaded.config
    own = state_dir(directory / Path(loaded.file).name, config.server.state)
    own.create()
    secret = own_secret(loaded, own)
    store = make_store(config.database, directory)
    recorder = Recorder(store, Spool(own.spool, config.usage.spool_limit))
    redis = _redis(config.limits.url)
    quotas = _quotas(config.limits.backend == "database", store, redis, counters)
    admission = Admission(quotas, store, allow_unchecked=config.database.on_down.budgets == "allow")
    return State(
        own, store, secret,
        keyring=Keyring(store, Pepper(secret), known_for=config.database.on_down.known_keys_for),
        recorder=recorder,
        books=Books(recorder.record, admission),
        upkeep=Upkeep(store, age_seconds(config.usage.retention)),
        quotas=quotas,
        redis=redis,
        admin_key=loaded.own.admin_key,
        needs_key=config.auth.calls == "key",
    )  # fmt: skip


def own_secret(loaded: Loaded, own: StateDir) -> bytes:
    """What this installation keeps to itself: SECRET_KEY, else what was made at the first start."""
    if loaded.own.secret_key:
        return loaded.own.secret_key.encode("utf-8", "surrogateescape")
    return made_once(own.secret_key, lambda: secrets.token_hex(32).encode())


def _redis(url: str) -> "RedisBuckets | None":
    if not url:
        return None
    from portbroker.redis_buckets import RedisBuckets  # an extra, which few install

    return RedisBuckets(url)


def _quotas(in_database: bool, store: Store, redis: "RedisBuckets | None", counters: Counters) -> Quotas:
    if redis is not None:
        return SharedQuotas(counters, redis)
    return SharedQuotas(counters, store) if in_database else LocalQuotas(counters)


async def check(state: State) -> None:
    """Open the database and close it again. Raises `StoreError` when it can never be used like this."""
    try:
        await state.store.open()
        await state.store.check_pepper(state.keyring.pepper.fingerprint)
    except StoreDown as error:
        log.warning("the database is away: %s", error)
    finally:
        with contextlib.suppress(StoreError):
            await state.store.close()


@contextlib.asynccontextmanager
async def opened(state: State, failed: Callable[[], None] = lambda: None) -> AsyncIterator[State]:
    """The state while it is in use; the database is opened meanwhile. `failed`: see `State.open`."""
    task = asyncio.get_running_loop().create_task(state.open(failed))
    try:
        yield state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await state.stop()
