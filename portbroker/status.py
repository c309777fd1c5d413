"""What is served, since when, and how the last reload went: for those who watch over it.

The one rule: no secret is in here, and nothing of it decides what a call meets.
"""

import datetime
from dataclasses import dataclass

from portbroker.conversation import Json
from portbroker.errors import Problem


@dataclass(frozen=True, slots=True)
class LastReload:
    """One try to serve the file as it is now. `at` is Unix seconds, `cause` what set it off.

    `problems` are why it failed. `restart` names the fields whose change is only served after a restart.
    """

    at: float
    succeeded: bool
    cause: str = ""
    problems: tuple[Problem, ...] = ()
    restart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The revision that new calls meet, since when (Unix seconds), and the last reload; None before the first."""

    revision: str
    loaded_at: float
    last: LastReload | None = None

    def page(self) -> Json:
        """What anyone may know."""
        last = self.last
        told = {"at": _shown(last.at), "succeeded": last.succeeded} if last else None
        return {"revision": self.revision, "loaded_at": _shown(self.loaded_at), "last_reload": told}


def _shown(at: float) -> str:
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
