"""`/admin/api-keys`: keys are made, read, changed, rotated, revoked and deleted.

The one rule: a change is made on the version that was looked at; who comes second is told so and overwrites nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from portbroker.admin.audit import entry
from portbroker.admin.endpoints import Answer, Asked, Endpoint, Refusal, not_found
from portbroker.admin.forms import Page
from portbroker.admin.key_forms import (
    KeyChange,
    KeyDeleted,
    KeyMade,
    KeyShown,
    KeysShown,
    NewKey,
    Rotation,
    SpendingShown,
    changes_of,
    fields_of,
    key_values,
)
from portbroker.admin.times import dollars, now
from portbroker.keys import Pepper, issue, rotate
from portbroker.store import Conflict, Store
from portbroker.store.periods import period_key
from portbroker.store.records import ApiKey

_PATH = "/admin/api-keys"
_ONE = f"{_PATH}/{{id}}"
_NAME_TAKEN = "Another key has this name."
_IF_MATCH = {"If-Match": "The version (`ETag`) that the change is meant for."}
_GONE = {404: "There is no such key."}
_STALE = {412: "The key has another version than the one that was named."}


class KeyPage(Page):
    """Which keys."""

    search: str = Field("", max_length=100, description="A part of the name, in any case.")


class ApiKeys:
    """The keys of a store, hashed with a pepper."""

    def __init__(self, store: Store, pepper: Pepper) -> None:
        self._store = store
        self._pepper = pepper

    def endpoints(self) -> tuple[Endpoint, ...]:
        written = {**_GONE, **_STALE, 409: _NAME_TAKEN}
        return tuple(
            replace(row, tag="keys")
            for row in (
                Endpoint("GET", _PATH, self.list, "The API keys.", {200: KeysShown}, query=KeyPage),
                Endpoint("POST", _PATH, self.create, "Make an API key; its secret is shown this once.", {201: KeyMade},
                         body=NewKey, fails={409: _NAME_TAKEN}),
                Endpoint("GET", _ONE, self.show, "An API key.", {200: KeyShown}, fails=_GONE),
                Endpoint("PUT", _ONE, self.replace, "Write all that can be set of an API key.", {200: KeyShown},
                         body=NewKey, fails=written, reads=_IF_MATCH),
                Endpoint("PATCH", _ONE, self.change, "Write some of what can be set of an API key.", {200: KeyShown},
                         body=KeyChange, fails=written, reads=_IF_MATCH),
                Endpoint("DELETE", _ONE, self.delete, "Delete an API key; its usage stays.", {200: KeyDeleted},
                         fails={**_GONE, **_STALE}, reads=_IF_MATCH),
                Endpoint("POST", f"{_ONE}/rotate", self.rotate, "Give an API key another secret, shown this once.",
                         {200: KeyMade}, body=Rotation, fails={**_GONE, **_STALE, 409: "The key is revoked."},
                         reads=_IF_MATCH),
                Endpoint("POST", f"{_ONE}/revoke", self.revoke, "End an API key for ever.", {200: KeyShown},
                         fails={**_GONE, **_STALE}, reads=_IF_MATCH),
            )
        )  # fmt: skip

    async def list(self, asked: Asked) -> Answer:
        page: KeyPage = asked.query
        keys = await self._store.keys(page.after, page.limit, page.search)
        more = len(keys) == page.limit
        return Answer(KeysShown(data=[_shown(key) for key in keys], next=keys[-1].id if more else None))

    async def create(self, asked: Asked) -> Answer:
        form: NewKey = asked.body
        key, secret = issue(self._pepper, at=now(), **fields_of(form))
        await self._insert(key, asked)
        location = {"location": f"{_PATH}/{key.id}", **_etag(key)}
        return Answer(KeyMade(**key_values(key), key=secret), 201, location)

    async def show(self, asked: Asked) -> Answer:
        key = await self._key(asked)
        return _answer(key, await self._spending(key))

    async def replace(self, asked: Asked) -> Answer:
        return await self._write(asked, await self._key(asked), fields_of(asked.body))

    async def change(self, asked: Asked) -> Answer:
        key = await self._key(asked)
        return await self._write(asked, key, changes_of(asked.body, key))

    async def delete(self, asked: Asked) -> Answer:
        key = await self._key(asked)
        if not await self._store.delete_key(key.id, entry(asked, "key.deleted", key.id, name=key.name)):
            raise not_found("API key", key.id)
        return Answer(KeyDeleted(id=key.id, deleted=True))

    async def rotate(self, asked: Asked) -> Answer:
        form: Rotation = asked.body
        key = await self._key(asked)
        if key.revoked_at is not None:
            raise Refusal(409, "conflict", "a revoked key stays revoked; make another one")
        rotated, secret = rotate(key, self._pepper, now(), form.overlap_seconds * 1_000_000)
        kept = await self._update(rotated, asked, "key.rotated", {"overlap_seconds": form.overlap_seconds})
        return Answer(KeyMade(**key_values(kept), key=secret), headers=_etag(kept))

    async def revoke(self, asked: Asked) -> Answer:
        key = await self._key(asked)
        if key.revoked_at is not None:
            return _answer(key)
        return _answer(await self._update(replace(key, revoked_at=now()), asked, "key.revoked", {"name": key.name}))

    # with the store

    async def _key(self, asked: Asked) -> ApiKey:
        """The key that the path names, in the version that the client has seen."""
        id = asked.params["id"]
        key = await self._store.key(id)
        if key is None:
            raise not_found("API key", id)
        wanted = asked.headers.get("if-match", "").strip()
        if wanted not in ("", "*", f'"{key.version}"', str(key.version)):
            raise Refusal(412, "stale", f"the key is at version {key.version} now: read it again")
        return key

    async def _insert(self, key: ApiKey, asked: Asked) -> None:
        try:
            await self._store.insert_key(key, entry(asked, "key.created", key.id, name=key.name, admin=key.admin))
        except Conflict as conflict:
            raise _conflict(conflict) from conflict

    async def _write(self, asked: Asked, key: ApiKey, fields: Mapping[str, Any]) -> Answer:
        details = {"name": key.name, "fields": sorted(fields)}
        return _answer(await self._update(replace(key, **fields), asked, "key.changed", details))

    async def _update(self, key: ApiKey, asked: Asked, action: str, details: Mapping[str, Any]) -> ApiKey:
        try:
            return await self._store.update_key(key, key.version, entry(asked, action, key.id, **details))
        except Conflict as conflict:
            raise _conflict(conflict) from conflict

    async def _spending(self, key: ApiKey) -> SpendingShown | None:
        if key.budget is None:
            return None
        period = period_key(key.budget, now())
        spending = await self._store.spending(key.id, period)
        return SpendingShown(
            period=period, spent=dollars(spending.spent_nano), reserved=dollars(spending.reserved_nano)
        )


def _shown(key: ApiKey) -> KeyShown:
    return KeyShown(**key_values(key))


def _answer(key: ApiKey, spending: SpendingShown | None = None) -> Answer:
    return Answer(KeyShown(**key_values(key), spending=spending), headers=_etag(key))


def _etag(key: ApiKey) -> dict[str, str]:
    return {"etag": f'"{key.version}"'}


def _conflict(conflict: Conflict) -> Refusal:
    if conflict.what == "gone":
        return Refusal(404, "not_found", "the key was deleted meanwhile")
    if conflict.what == "version":
        return Refusal(412, "stale", "the key was changed meanwhile: read it again")
    return Refusal(409, "conflict", "another key has this name", param="name")
