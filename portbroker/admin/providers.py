"""`/admin/providers`: the providers of the file, read and changed in the file itself.

The one rule: the file stays the owner. What is answered is what stands in it, and a change is in force when it is
written there, proved and served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from portbroker.admin.audit import entry
from portbroker.admin.endpoints import Answer, Asked, Endpoint, Refusal, not_found
from portbroker.admin.posted_secrets import secret_name
from portbroker.admin.provider_file import Found, Proposal, ProviderFile
from portbroker.admin.provider_forms import (
    FIELDS,
    NewProvider,
    ProviderChange,
    ProviderDeleted,
    ProviderShown,
    ProvidersShown,
    provider_shown,
    secrets_in,
    unveiled,
)
from portbroker.config import edits
from portbroker.store import Store

_PATH = "/admin/providers"
_ONE = f"{_PATH}/{{name}}"
_IF_MATCH = {"If-Match": "The revision (`ETag`) of the file that the change is meant for."}
_WRITTEN = {
    409: "The file may not or cannot be written (`patch` is the change), or is wrong as it is now.",
    412: "The file has another revision than the one that was named.",
}
_GONE = {404: "There is no such provider."}

Edit = Callable[[str, int], str]


class Providers:
    """The providers of a file. Changes are noted in the log of the store, where there is one."""

    def __init__(self, file: ProviderFile, store: Store | None) -> None:
        self._file = file
        self._store = store

    def endpoints(self) -> tuple[Endpoint, ...]:
        one = {**_WRITTEN, **_GONE}
        rows = (
            Endpoint("GET", _PATH, self.list, "The providers of the file.", {200: ProvidersShown},
                     fails={409: "The file is wrong as it is now."}),
            Endpoint("POST", _PATH, self.create, "Add a provider to the file.", {201: ProviderShown}, body=NewProvider,
                     fails=_WRITTEN, reads=_IF_MATCH),
            Endpoint("GET", _ONE, self.show, "A provider of the file.", {200: ProviderShown},
                     fails={**_GONE, 409: "The file is wrong as it is now."}),
            Endpoint("PUT", _ONE, self.replace, "Write all fields of a provider in the file.", {200: ProviderShown},
                     body=NewProvider, fails=one, reads=_IF_MATCH),
            Endpoint("PATCH", _ONE, self.change, "Write some fields of a provider in the file.", {200: ProviderShown},
                     body=ProviderChange, fails=one, reads=_IF_MATCH),
            Endpoint("DELETE", _ONE, self.delete, "Take a provider out of the file.", {200: ProviderDeleted},
                     fails=one, reads=_IF_MATCH),
        )  # fmt: skip
        return tuple(replace(row, tag="providers") for row in rows)

    async def list(self, _: Asked) -> Answer:
        found = await self._file.read()
        shown = [_shown(found, index) for index in range(len(found.raw))]
        return Answer(ProvidersShown(data=shown, revision=found.loaded.revision), headers=_etag(found))

    async def show(self, asked: Asked) -> Answer:
        found = await self._file.read()
        return Answer(_shown(found, _index(found, asked)), headers=_etag(found))

    async def create(self, asked: Asked) -> Answer:
        form: NewProvider = asked.body
        async with self._file.locked():
            found = await self._current(asked)
            if found.at(form.name) is not None:
                raise Refusal(409, "conflict", f"there is a provider called {form.name!r} already", param="name")
            values, secrets = _put_away(form.name, _unveiled(form.written(form.model_fields_set), {})[0])
            given = {name: value for name, value in values.items() if value is not None}
            proposal = await self._file.propose(found, None, lambda text, _: edits.added(text, given), secrets)
            await self._serve(asked, proposal, found, "provider.created", form.name, sorted(given))
        shown = _named(proposal.proved, form.name)
        return Answer(shown, 201, {**_etag(proposal.proved), "location": f"{_PATH}/{_quoted(form.name)}"})

    async def replace(self, asked: Asked) -> Answer:
        return await self._written(asked, set(FIELDS))

    async def change(self, asked: Asked) -> Answer:
        form: ProviderChange = asked.body
        return await self._written(asked, form.model_fields_set)

    async def _written(self, asked: Asked, names: set[str]) -> Answer:
        form: ProviderChange = asked.body
        async with self._file.locked():
            found = await self._current(asked)
            index = _index(found, asked)
            values, kept = _unveiled(form.written(names), found.raw[index])
            name = values.get("name") or found.raw[index]["name"]
            values, secrets = _put_away(name, values)
            given = {field: value for field, value in values.items() if value is not None}
            gone = [field for field, value in values.items() if value is None]
            proposal = await self._file.propose(
                found, index, lambda text, at: edits.changed(text, at, given, gone), secrets
            )
            stays = {field for field in ("api_key", "headers") if field not in values} | set(kept)
            _refuse_leak(found, proposal.proved, index, stays)
            await self._serve(asked, proposal, found, "provider.changed", name, sorted(values))
        return Answer(_named(proposal.proved, name), headers=_etag(proposal.proved))

    async def delete(self, asked: Asked) -> Answer:
        async with self._file.locked():
            found = await self._current(asked)
            index = _index(found, asked)
            proposal = await self._file.propose(found, index, edits.removed, {})
            name = asked.params["name"]
            await self._serve(asked, proposal, found, "provider.deleted", name, [])
        return Answer(ProviderDeleted(name=name, deleted=True), headers=_etag(proposal.proved))

    async def _current(self, asked: Asked) -> Found:
        """The file as it is now, if that is what the change is meant for. Raises `Refusal` (412)."""
        found = await self._file.read()
        revision = found.loaded.revision
        if asked.headers.get("if-match", "").strip() not in ("", "*", revision, f'"{revision}"'):
            message = f"the file is at revision {revision} now: read it again"
            raise Refusal(412, "stale", message, more={"revision": revision})
        return found

    async def _serve(
        self, asked: Asked, proposal: Proposal, found: Found, action: str, name: str, fields: Sequence[str]
    ) -> None:
        """Note the change, then make it: what cannot be noted is not done."""
        if self._store and found.loaded.config.admin.config_writes == "allow":
            revision = proposal.proved.loaded.revision
            await self._store.add_audit(entry(asked, action, name, fields=[*fields], revision=revision))
        await self._file.serve(proposal, found, f"admin API, {asked.who.name}")


def _index(found: Found, asked: Asked) -> int:
    name = asked.params["name"]
    if (index := found.at(name)) is None:
        raise not_found("provider", name)
    return index


def _unveiled(written: dict[str, Any], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    try:
        return unveiled(written, raw)
    except ValueError as error:
        place = str(error)
        message = (
            f"{place}: a reference that is not in the file already is written there by hand; post the secret itself"
        )
        raise Refusal(422, "invalid", message, param=place) from None


def _put_away(name: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values with references in the place of secrets, and the secrets by their names."""
    secrets: dict[str, str] = {}
    values = {**values, "headers": dict(values["headers"])} if values.get("headers") else dict(values)
    for place, secret in secrets_in(values).items():
        called = secret_name(name, place)
        secrets[called] = secret
        section, _, header = place.partition(".")
        if header:
            values[section][header] = f"{{{{ secret.{called} }}}}"
        else:
            values[section] = f"{{{{ secret.{called} }}}}"
    return values, secrets


def _refuse_leak(before: Found, after: Found, index: int, stays: set[str]) -> None:
    """Raises `Refusal` when credentials that were given for one host would go to another."""
    old, new = before.loaded.config.providers[index], after.loaded.config.providers[index]
    if _origin(before, old.name) == _origin(after, new.name):
        return
    held = {"api_key": old.api_key, "headers": old.headers}
    left = [
        name
        for name in ("api_key", "headers")
        if held[name] and any(place.partition(".")[0] == name for place in stays)
    ]
    if old.api_keys or old.pass_client_credentials:
        left.append("api_keys" if old.api_keys else "pass_client_credentials")
    if left:
        message = (
            f"{', '.join(left)} would go to another host: send them anew with the change, or change the file by hand"
        )
        raise Refusal(422, "invalid", message, param="base_url")


def _origin(found: Found, name: str) -> tuple[str, str, int | None]:
    from urllib.parse import urlsplit

    parts = urlsplit(found.snapshot.providers[name].base_url)
    return parts.scheme, parts.hostname or "", parts.port


def _named(found: Found, name: str) -> ProviderShown:
    index = found.at(name)
    if index is None:
        raise not_found("provider", name)
    return _shown(found, index)


def _shown(found: Found, index: int) -> ProviderShown:
    provider = found.snapshot.providers[found.loaded.config.providers[index].name]
    return provider_shown(found.raw[index], provider.active, provider.reason)


def _etag(found: Found) -> dict[str, str]:
    return {"etag": f'"{found.loaded.revision}"'}


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
