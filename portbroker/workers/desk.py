"""Answers what workers and the watcher ask, and adds up what workers count.

The one rule: nothing here waits: what needs the watcher is asked of it, and answered when it answers.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

from portbroker.conversation import Json
from portbroker.metrics import Counts, Ledger
from portbroker.status import Status, shown
from portbroker.workers.child import Child
from portbroker.workers.messages import Asked, Counted, Felt, Look, Looked, Message, Reported, Told
from portbroker.workers.rollout import Rollout


class Desk:
    """What the supervisor knows. `tell` sends to a child; `watcher` is the process that reads the file, if it lives."""

    def __init__(
        self, tell: Callable[[Child, Message], None], watcher: Callable[[], Child | None], rollout: Rollout
    ) -> None:
        self._reported = Status(rollout.current.revision, rollout.since, good_at=rollout.since)
        self._tell = tell
        self._watcher = watcher
        self._rollout = rollout
        self._ledger = Ledger()
        self._returns = 0
        self._numbers = itertools.count(1)
        self._looks: dict[int, tuple[Child, int]] = {}
        self._health: dict[int, Json] = {}

    def report(self, reported: Reported) -> None:
        """The watcher tells how reloading goes. Another one after it counts anew what was returned from."""
        status = Status.of_json(reported.status)
        self._returns += max(0, status.returns - self._reported.returns)
        self._reported = status

    def count(self, counted: Counted) -> None:
        """A worker has counted."""
        self._ledger.enter(Counts.of(counted.record))

    def feel(self, child: Child, felt: Felt) -> None:
        """A worker has found out how providers are."""
        self._health[child.pid] = felt.health

    def ask(self, child: Child, asked: Asked) -> None:
        """Somebody asks."""
        if asked.what == "reload":
            self._look(child, asked)
        elif asked.what == "calls":
            calls = self._ledger.calls(str(asked.body["revision"]), float(asked.body["seconds"]))
            self._tell(child, Told(asked.number, {"number": calls.number, "failed": calls.failed}))
        elif asked.what == "counts":
            body = {"counts": self._ledger.totals.record(), "status": self._status().as_json()}
            self._tell(child, Told(asked.number, body))
        elif asked.what == "health":
            workers = [{"process": pid, **health} for pid, health in self._health.items()]
            self._tell(child, Told(asked.number, {"workers": workers}))
        else:
            self._tell(child, Told(asked.number, self._configuration()))

    def looked(self, looked: Looked) -> None:
        """The watcher has done what was asked of it."""
        if waiting := self._looks.pop(looked.number, None):
            self._tell(waiting[0], Told(waiting[1], looked.body))

    def left(self, child: Child, watcher: bool) -> None:
        """A process has ended: nobody waits for it, and it waits for nobody."""
        self._health.pop(child.pid, None)
        for number, (asker, own) in list(self._looks.items()):
            if asker is child:
                del self._looks[number]
            elif watcher:
                del self._looks[number]
                self._tell(
                    asker, Told(own, {"unanswered": "the process that reads the file has ended; another begins"})
                )

    def _look(self, child: Child, asked: Asked) -> None:
        if (watcher := self._watcher()) is None:
            self._tell(child, Told(asked.number, {"unanswered": "no process reads the file just now; try again"}))
            return
        number = next(self._numbers)
        self._looks[number] = (child, asked.number)
        self._tell(watcher, Look(str(asked.body["cause"]), number, bool(asked.body["dry"])))

    def _configuration(self) -> Json:
        age = time.time() - time.monotonic()
        workers = [
            {"process": child.pid, "revision": revision or None, "started_at": shown(child.began + age)}
            for child, revision in self._rollout.served()
        ]
        return {**self._status().told(), "workers": workers}

    def _status(self) -> Status:
        """What the watcher has reported, over what workers serve."""
        current = self._rollout.current.revision
        return replace(self._reported, revision=current, loaded_at=self._rollout.since, returns=self._returns)
