"""Keys: the credentials of each provider, by name.

The one rule: a provider has one `api_key` or several `api_keys`; one whose variable is not set is left out.
"""

from collections.abc import Sequence

from portbroker.compile.faults import Faults
from portbroker.config.model import ProviderConfig


def compile_keys(declared: Sequence[ProviderConfig], faults: Faults) -> dict[str, list[tuple[str, str]]]:
    """(name, key) of every credential, by provider; one that is there twice counts once."""
    keys: dict[str, list[tuple[str, str]]] = {}
    for index, config in enumerate(declared):
        keys[config.name] = _keys(config)
        _check(index, config, faults)
    return keys


def _keys(config: ProviderConfig) -> list[tuple[str, str]]:
    if config.api_key is not None:
        return [("", config.api_key.get_secret_value())]
    names: dict[str, str] = {}
    for number, entry in enumerate(config.api_keys, 1):
        if entry.key is not None:
            names.setdefault(entry.key.get_secret_value(), entry.name or str(number))
    return [(name, key) for key, name in names.items()]


def _check(index: int, config: ProviderConfig, faults: Faults) -> None:
    at = ("providers", index, "api_keys")
    if config.api_keys and "api_key" in config.model_fields_set:
        faults.add(at, "a provider has either `api_key` or `api_keys`", "move `api_key` into the list")
    names = [entry.name or str(number) for number, entry in enumerate(config.api_keys, 1)]
    for number, name in enumerate(names):
        if name in names[:number]:
            faults.add((*at, number), f"a key is already called {name!r}", "names are how logs tell keys apart")
