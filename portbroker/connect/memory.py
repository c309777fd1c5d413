"""What was changed in a client's files, kept until it is put back: in the user's own state directory.

The one rule: it holds what the files held, so nobody else may read it.
"""

from pathlib import Path

import orjson

from portbroker.connect.changes import Remembered, remembered
from portbroker.connect.clients import Machine
from portbroker.connect.files import SettingsError, remove
from portbroker.state_dir import StateError, read_private, write_private


def directory(machine: Machine) -> Path:
    """Where what belongs to connections is kept."""
    return machine.directory("XDG_STATE_HOME", ".local", "state") / "portbroker" / "connect"


def _file(machine: Machine, name: str) -> Path:
    return directory(machine) / f"{name}.json"


def recall(machine: Machine, name: str) -> tuple[Remembered, ...]:
    """What was changed for a client, file by file. Raises `SettingsError`."""
    file = _file(machine, name)
    if not file.exists():
        return ()
    try:
        return tuple(remembered(each) for each in orjson.loads(read_private(file)))
    except (ValueError, KeyError, TypeError, StateError) as error:
        said = error if isinstance(error, StateError) else f"{file} cannot be understood"
        raise SettingsError(str(said), "without it nothing can be put back: mend it, or delete it") from error


def remember(machine: Machine, name: str, memories: tuple[Remembered, ...]) -> None:
    """Keep it. Raises `SettingsError`."""
    file = _file(machine, name)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, orjson.dumps([memory.plain() for memory in memories], option=orjson.OPT_INDENT_2))
    except (OSError, StateError) as error:
        raise SettingsError(f"{file} cannot be written", "without it nothing could be put back") from error


def forget(machine: Machine, name: str) -> None:
    """It has been put back."""
    remove(_file(machine, name))
