"""Secrets that were posted to the admin API: a private file in the state directory, which the file refers to.

The one rule: a name means one value for ever. A secret that is replaced gets another name, so that the revision before
works on, and so does a rollback to it.
"""

import json
import posixpath
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from portbroker.config import document, source
from portbroker.config.environment import SECRETS
from portbroker.state_dir import state_dir, write_private

_UNFIT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class PostedSecrets:
    """The secrets of the state directory `state` of a configuration file; those that it keeps, and more."""

    file: Path
    state: str
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The file, as templates name it: counted from the directory of the configuration."""
        return posixpath.join(str(Path(self.state).expanduser()), SECRETS)

    @property
    def secrets(self) -> dict[str, str]:
        """All of them."""
        path = state_dir(self.file, self.state).secrets
        kept = document.parse(source.text_of(source.read(path, private=True))).data if path.exists() else {}
        return {**kept, **self.more}

    def with_(self, more: Mapping[str, str]) -> "PostedSecrets":
        """With these too."""
        return replace(self, more={**self.more, **more})

    def as_yaml(self) -> bytes:
        """All of them as the file has them. JSON texts are YAML texts."""
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in sorted(self.secrets.items())]
        return (
            "# Posted to the admin API; the configuration refers to them by name.\n" + "".join(lines or ["{}\n"])
        ).encode()

    def write(self) -> None:
        """Keep them, if there are more. Raises `StateError`."""
        if self.more:
            state = state_dir(self.file, self.state)
            state.create()
            write_private(state.secrets, self.as_yaml())


def secret_name(provider: str, place: str) -> str:
    """A fresh name for the secret of a provider: one that a person can place."""
    words = _UNFIT.sub("_", f"{provider} {place.removeprefix('headers.')}".lower()).strip("_")
    head = words if words[:1].isalpha() else f"p_{words}"
    return f"{head[:60]}_{secrets.token_hex(3)}"
