"""Configurations by their names: a file, or a revision of the history of one.

The one rule: a revision is compiled with the secrets and the variables of today.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.cli.files import DEFAULT
from portbroker.cli.terminal import CommandError, setting

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.history import Entry, History


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument by which the file is named whose history is meant."""
    said = f"the file that is meant (default: $PORTBROKER_CONFIG, else {DEFAULT})"
    parser.add_argument("--config", metavar="FILE", help=said)


def file_of(args: argparse.Namespace) -> Path:
    """The file that is meant, be it there or not."""
    return Path(args.config or setting("PORTBROKER_CONFIG") or DEFAULT)


def history_of(file: Path) -> "History":
    """The history of a file, be the file right, wrong or gone."""
    from portbroker.cli.admin_client import state_of
    from portbroker.history import History

    return History(state_of(file))


def entry_of(name: str, file: Path) -> "Entry":
    """A revision of the history. Raises `CommandError`."""
    from portbroker.history import UnknownRevision

    try:
        return history_of(file).find(name)
    except UnknownRevision as error:
        raise CommandError(str(error), "`portbroker history` lists what there is", status=2) from None


def loaded_entry(entry: "Entry", file: Path) -> "Loaded":
    """What a revision means today. Raises `ConfigError`."""
    from portbroker.config.load import load_text

    return load_text(entry.text, file=str(file), directory=file.parent, instead=entry.parts)


def loaded_by_name(name: str, file: Path) -> "Loaded":
    """A file that is there, else a revision. Raises `CommandError` and `ConfigError`."""
    from portbroker.config.load import load

    path = Path(name)
    if path.exists():
        return load(path)
    if path.suffix or len(path.parts) > 1:
        raise CommandError(f"{path}: no such file", status=2)
    return loaded_entry(entry_of(name, file), file)
