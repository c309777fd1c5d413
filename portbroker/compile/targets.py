"""Targets: where the calls for a provider and an upstream model go, and with which headers.

The one rule: a target is made once and kept; what it holds of a credential is never shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from portbroker.cost import Rates
from portbroker.dialects.registry import DIALECTS
from portbroker.fieldmap.effective import FieldMap
from portbroker.fieldmap.select import ProviderMaps
from portbroker.headers import fixed_headers
from portbroker.snapshot import KEPT, Credential, Provider, Target

_NO_KEY = ("", "")


class Targets:
    """Makes the target of a provider and an upstream model, the same one each time. `keys` are by provider, named."""

    def __init__(self, maps: dict[str, ProviderMaps], keys: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self._maps = maps
        self._keys = keys
        self._made: dict[tuple[str, str], Target] = {}

    def add(self, name: str, maps: ProviderMaps) -> None:
        """The built-in provider's field maps."""
        self._maps[name] = maps

    def __call__(self, provider: Provider, model: str) -> Target:
        target = self._made.get((provider.name, model))
        if target is None:
            if len(self._made) >= KEPT:
                self._made.clear()  # a memory of a pure function: nothing is lost but time
            target = self._made[provider.name, model] = self._make(provider, model)
        return target

    def _make(self, provider: Provider, model: str) -> Target:
        fieldmap = self._maps[provider.name].resolve(model)
        dialect = DIALECTS[fieldmap.dialect]
        url = fieldmap.url or provider.base_url + dialect.path
        keys = self._keys.get(provider.name, ())
        return Target(
            name=f"{provider.name}/{model}",
            provider=provider,
            model=model,
            dialect=dialect,
            fieldmap=fieldmap,
            origin=provider.way.to(url),
            path=_path(url),
            credentials=tuple(_credential(fieldmap, provider, *key) for key in keys or (_NO_KEY,)),
            secrets=tuple(key for _, key in keys),
            origin_hash=hashlib.sha256(f"{provider.name}\0{model}".encode()).hexdigest()[:16],
            rates=Rates.of(price) if (price := fieldmap.facts.price) else None,
        )


def _credential(fieldmap: FieldMap, provider: Provider, name: str, key: str) -> Credential:
    """A key under a name that tells it from others, and from the one that took its place in the file."""
    mark = hashlib.sha256(key.encode()).hexdigest()[:12] if key else "-"
    return Credential(name, mark, _headers(fieldmap, provider, key))


def _headers(fieldmap: FieldMap, provider: Provider, key: str) -> dict[str, str]:
    """The fixed headers of a target: ours, the field map's, the provider's own, and the credential."""
    own = {name.lower(): value for name, value in {**fieldmap.headers, **provider.headers}.items()}
    auth = {fieldmap.auth.header: fieldmap.auth.value} if key and not provider.pass_client_credentials else {}
    filled = {name: value.replace("${key}", key) for name, value in auth.items()}
    own = {name: value.replace("${key}", key) for name, value in own.items()}
    return fixed_headers(fieldmap.dialect, filled, own, fieldmap.drop_headers)


def _path(url: str) -> str:
    """The path and query of a URL, as requests name them."""
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    return f"{path}?{parts.query}" if parts.query else path
