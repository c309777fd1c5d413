"""What is served, since when, and how the last reload went: for those who watch over it.

The one rule: no secret is in here, and nothing of it decides what a call meets.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portbroker.conversation import Json
from portbroker.errors import Problem


@dataclass(frozen=True, slots=True)
class LastReload:
    """One try to serve the file as it is now. `at` is Unix seconds, `cause` what set it off.

    `problems` are why it failed. `restart` names the fields whose change is only served after a restart. `revision` is
    that of the file, "" when it could not be read; `changes` are what it changes for callers. `served`: it is what is
    served since.
    """

    at: float
    succeeded: bool
    cause: str = ""
    problems: tuple[Problem, ...] = ()
    restart: tuple[str, ...] = ()
    revision: str = ""
    changes: tuple[str, ...] = ()
    served: bool = False

    def told(self) -> Json:
        """What an admin may know, as JSON can hold it."""
        return {
            "at": shown(self.at), "succeeded": self.succeeded, "cause": self.cause, "revision": self.revision or None,
            "problems": [problem.plain() for problem in self.problems], "restart": list(self.restart),
            "changes": list(self.changes), "served": self.served,
        }  # fmt: skip

    def as_json(self) -> Json:
        """All of it, for another process."""
        return {**self.told(), "at": self.at, "revision": self.revision}

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> "LastReload":
        """What `as_json` gave."""
        problems = tuple(Problem(**problem) for problem in said["problems"])
        return cls(
            said["at"], said["succeeded"], said["cause"], problems, tuple(said["restart"]), said["revision"],
            tuple(said["changes"]), said["served"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Returned:
    """A revision that was served and returned from: when (Unix seconds), to which one, and why."""

    revision: str
    to: str
    at: float
    why: str

    def told(self) -> Json:
        return {"revision": self.revision, "to": self.to, "at": shown(self.at), "why": self.why}


@dataclass(frozen=True, slots=True)
class Status:
    """The revision that new calls meet, since when (Unix seconds), and the last reload; None before the first.

    `guarded_until` is when the trial of the revision ends, None when it is not on trial. `returned` is the revision
    that was returned from, as long as the file has it. `returns` counts them.
    """

    revision: str
    loaded_at: float
    last: LastReload | None = None
    guarded_until: float | None = None
    returned: Returned | None = None
    returns: int = 0
    good_at: float = 0.0
    """When a reload went well last."""

    def page(self) -> Json:
        """What anyone may know."""
        last = self.last
        told = {"at": shown(last.at), "succeeded": last.succeeded} if last else None
        return {"revision": self.revision, "loaded_at": shown(self.loaded_at), "last_reload": told}

    def told(self) -> Json:
        """What an admin may know, as JSON can hold it."""
        return {
            "revision": self.revision,
            "loaded_at": shown(self.loaded_at),
            "file_revision": (self.last.revision or None) if self.last else self.revision,
            "in_sync": self.last is None or self.last.revision == self.revision,
            "guarded_until": shown(self.guarded_until) if self.guarded_until else None,
            "returned": self.returned.told() if self.returned else None,
            "last_reload": self.last.told() if self.last else None,
        }

    def as_json(self) -> Json:
        """All of it, for another process."""
        returned = self.returned
        return {
            "revision": self.revision, "loaded_at": self.loaded_at, "last": self.last.as_json() if self.last else None,
            "guarded_until": self.guarded_until, "returns": self.returns, "good_at": self.good_at,
            "returned": [returned.revision, returned.to, returned.at, returned.why] if returned else None,
        }  # fmt: skip

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> "Status":
        """What `as_json` gave."""
        last = LastReload.of_json(said["last"]) if said["last"] else None
        returned = Returned(*said["returned"]) if said["returned"] else None
        return cls(said["revision"], said["loaded_at"], last, said["guarded_until"], returned, said["returns"],
                   said["good_at"])  # fmt: skip


def shown(at: float) -> str:
    """A moment as JSON has it."""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
