"""The YAML inside the package: presets, the catalog and the tables of the dialects, read when they are first needed.

The one rule: what is read here was written by us and is tested; a user's file never comes this way.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_DIRECTORY = Path(__file__).parent.parent / "presets"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def read_preset(name: str) -> dict[str, Any]:
    """The document of one file under `presets/`, by its name without `.yaml`. Never change it."""
    text = (_DIRECTORY / f"{name}.yaml").read_bytes()
    document: dict[str, Any] = yaml.load(text, Loader=_LOADER)
    return document


@cache
def preset_names() -> tuple[str, ...]:
    """Every `provider_type` that there is a preset for."""
    return tuple(sorted(read_preset("index")["types"]))
