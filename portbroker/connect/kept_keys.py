"""API keys that were made for clients on this machine, each for one gateway.

The one rule: a key is shown to the gateway that it was made for, and to no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from portbroker.connect.clients import Machine
from portbroker.connect.files import SettingsError
from portbroker.connect.memory import directory
from portbroker.state_dir import StateError, read_private, write_private


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """The keys of this machine, in a file that nobody else can read."""

    file: Path

    def get(self, client: str, url: str) -> str:
        """The key that was made for a client of a gateway; "" for none. Raises `SettingsError`."""
        return self._read().get(f"{client} {url}", "")

    def put(self, client: str, url: str, key: str) -> None:
        """Keep it, in the place of an earlier one; "" forgets it."""
        kept = {**self._read(), f"{client} {url}": key}
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.file, orjson.dumps({name: key for name, key in kept.items() if key}))
        except (OSError, StateError) as error:
            raise SettingsError(f"{self.file} cannot be written", "the key would be lost; --key takes one") from error

    def _read(self) -> Mapping[str, str]:
        if not self.file.exists():
            return {}
        try:
            return {str(name): str(key) for name, key in orjson.loads(read_private(self.file)).items()}
        except (ValueError, AttributeError, StateError) as error:
            said = error if isinstance(error, StateError) else f"{self.file} cannot be understood"
            raise SettingsError(str(said), "delete it, and keys are made anew") from error


def kept_keys(machine: Machine) -> KeptKeys:
    """Those of the user whose machine it is."""
    return KeptKeys(directory(machine) / "keys.json")
