"""The steps that make a database what this version needs, shipped as SQL.

The one rule: a step that was once released never changes; whatever comes later is a step of its own.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from portbroker.errors import StoreError


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: from the version before to `version`."""

    version: int
    path: Path

    @property
    def sql(self) -> str:
        """What it does."""
        return self.path.read_text(encoding="utf-8")


@cache
def migrations(database: str) -> tuple[Migration, ...]:
    """All steps for `sqlite` or `postgresql`, the first one first."""
    paths = sorted((Path(__file__).parent / database).glob("*.sql"))
    return tuple(Migration(int(path.name[:4]), path) for path in paths)


def outstanding(database: str, version: int, place: str) -> tuple[Migration, ...]:
    """The steps that a database of this version lacks. Raises `StoreError` for one that is ahead of us."""
    all_steps = migrations(database)
    if version > all_steps[-1].version:
        raise StoreError(
            f"{place} was made by a newer PortBroker (version {version} of its tables, this one knows"
            f" {all_steps[-1].version}): update PortBroker, or restore a copy of the database from before"
        )
    return tuple(step for step in all_steps if step.version > version)
