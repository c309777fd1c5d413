"""The YAML inside the package: presets, the catalog and the tables of the dialects, read when they are first needed.

The one rule: what is read here was written by us and is tested; a user's file never comes this way.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from portbroker.config.model import EndpointName
from portbroker.fieldmap.globs import compile_glob

_DIRECTORY = Path(__file__).parent.parent / "presets"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def read_preset(name: str) -> dict[str, Any]:
    """The document of one file under `presets/`, by its name without `.yaml`. Never change it."""
    text = (_DIRECTORY / f"{name}.yaml").read_bytes()
    document: dict[str, Any] = yaml.load(text, Loader=_LOADER)
    return document


def preset_names() -> tuple[str, ...]:
    """Every `provider_type` that there is a preset for."""
    return tuple(read_preset("index")["hosts"])


@cache
def builtin_names() -> Mapping[str, str]:
    """Every built-in translation, by name, with the preset whose file it is in."""
    translations: Mapping[str, list[str]] = read_preset("index")["translations"]
    return {name: preset for preset, names in translations.items() for name in names}


@cache
def _hosts() -> tuple[tuple[Callable[[str], bool], str], ...]:
    hosts: Mapping[str, list[str]] = read_preset("index")["hosts"]
    return tuple((compile_glob(globs), preset) for preset, globs in hosts.items() if globs)


def vendor_at(place: str) -> str | None:
    """The preset whose vendor is known to serve at this host and path (`api.groq.com/openai/v1`), if one is."""
    return next((preset for test, preset in _hosts() if test(place)), None)


class Models(BaseModel):
    """Models that a preset proposes for the tiers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    big: str | None = None
    medium: str | None = None
    small: str | None = None


class ProviderDefaults(BaseModel):
    """What a preset says of its providers where the file says nothing.

    `key` tells whether a provider can be called without an `api_key`; `base_url` is None where only the user knows it.
    `endpoints` are those that it has beside its dialect's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    key: Literal["required", "optional", "none"] = "required"
    models: Models = Models()
    endpoints: tuple[EndpointName, ...] = ()


@cache
def provider_defaults(provider_type: str) -> ProviderDefaults:
    """The defaults of a preset; those of `custom` for a type that has no preset."""
    name = provider_type if provider_type in preset_names() else "custom"
    return ProviderDefaults.model_validate(read_preset(name)["provider"])
