"""A rollout: every worker is brought to one configuration at one time, or none is.

    proposed ─▶ prepare to all that serve ─▶ each is ready ─▶ commit to all ─▶ each serves it: done
                                        └─▶ one refuses, or takes too long: dropped, all go on as before

A worker that starts gets what is committed, and is asked along when something is proposed meanwhile. One that dies is
waited for no longer. The one rule: nothing here waits or looks at a clock; who calls does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from portbroker.workers.child import Child
from portbroker.workers.messages import Commit, Committed, Message, Prepare, Refused, Reported

PATIENCE = 30.0
"""Seconds that workers have to prepare."""


@dataclass(slots=True)
class _Member:
    """How far a worker is, in generations: what it was told to serve, what it says it serves, what it could serve."""

    told: int = 0
    serves: int = 0
    ready: int = 0


class Rollout:
    """The configuration of all workers: `current`, served since `since` (Unix seconds).

    `tell` sends a message to a worker. `deadline` is until when is waited for workers, None when nothing is under way.
    """

    def __init__(self, first: Prepare, tell: Callable[[Child, Message], None], since: float) -> None:
        self.current = first
        self.since = since
        self.deadline: float | None = None
        self._tell = tell
        self._members: dict[Child, _Member] = {}
        self._generation = first.generation
        self._next: Prepare | None = None
        self._proposer: Callable[[Message], None] | None = None
        self._reported: Reported | None = None
        self._revisions = {first.generation: first.revision}

    def served(self) -> list[tuple[Child, str]]:
        """Every worker, and the revision that it serves; "" for one that does not serve yet."""
        return [(child, self._revisions.get(member.serves, "")) for child, member in self._members.items()]

    def joined(self, child: Child) -> None:
        """A worker has started."""
        self._members[child] = _Member()
        self._tell(child, self.current)

    def left(self, child: Child, at: float) -> None:
        """A worker has ended."""
        if self._members.pop(child, None):
            self._go_on(at)

    def propose(self, prepare: Prepare, proposer: Callable[[Message], None], now: float, at: float) -> None:
        """Bring all to this. `proposer` hears `Committed` when every worker serves it, or else `Refused`."""
        self._drop("another configuration came meanwhile")
        self._generation += 1
        self._next = replace(prepare, generation=self._generation)
        self._proposer, self.deadline = proposer, now + PATIENCE
        for child, member in self._members.items():
            if member.told:
                self._tell(child, self._next)
        self._go_on(at)

    def ready(self, child: Child, generation: int, at: float) -> None:
        """A worker can serve a generation."""
        member = self._members[child]
        if self._next and generation == self._next.generation:
            member.ready = generation
            self._go_on(at)
        elif member.told:
            return  # of a generation that was dropped
        elif generation == self.current.generation:
            self._admit(child, member)
        else:
            self._tell(child, self.current)  # overtaken while it started

    def refused(self, child: Child, generation: int, reason: str) -> bool:
        """A worker cannot serve a generation; whether it has nothing else to serve."""
        if self._next and generation == self._next.generation:
            self._drop(reason)
            return False
        member = self._members[child]
        if member.told or generation == self.current.generation:
            return not member.told
        self._tell(child, self.current)
        return False

    def committed(self, child: Child, generation: int) -> bool:
        """A worker serves a generation; whether it is its first."""
        member = self._members[child]
        first, member.serves = not member.serves, generation
        self._finish()
        return first

    def expire(self, now: float) -> None:
        """Drop what was not prepared in time; what is committed is, whoever is slow to say so."""
        if self.deadline is None or now < self.deadline:
            return
        if self._next:
            late = [str(child.pid) for child in self._members if self._lacks(child)]
            self._drop(f"not prepared within {PATIENCE:.0f} s by worker {', '.join(late)}")
        else:
            self._done()

    def report(self, reported: Reported) -> None:
        """Tell every worker how the last reload went, and those that start later."""
        self._reported = reported
        for child, member in self._members.items():
            if member.told:
                self._tell(child, reported)

    # inside

    def _admit(self, child: Child, member: _Member) -> None:
        """A worker that has started may serve; what is proposed meanwhile concerns it too."""
        self._commit(child, member)
        if self._reported:
            self._tell(child, self._reported)
        if self._next:
            self._tell(child, self._next)

    def _commit(self, child: Child, member: _Member) -> None:
        member.told = self.current.generation
        self._tell(child, Commit(member.told, self.since))

    def _lacks(self, child: Child) -> bool:
        member = self._members[child]
        return bool(self._next and member.told and member.ready != self._next.generation)

    def _go_on(self, at: float) -> None:
        """Commit when everyone that must be ready is."""
        if self._next and not any(self._lacks(child) for child in self._members):
            self.current, self.since, self._next = self._next, at, None
            in_use = {member.serves for member in self._members.values()}
            self._revisions = {number: name for number, name in self._revisions.items() if number in in_use}
            self._revisions[self.current.generation] = self.current.revision
            for child, member in self._members.items():
                if member.told:
                    self._commit(child, member)
        self._finish()

    def _finish(self) -> None:
        if self._next is None and all(member.serves == member.told for member in self._members.values()):
            self._done()

    def _done(self) -> None:
        """Tell the proposer that what it proposed is served."""
        self._answer(Committed(self.current.generation))

    def _drop(self, reason: str) -> None:
        """Go on as before."""
        self._next = None
        self._answer(Refused(self._generation, reason))

    def _answer(self, message: Message) -> None:
        proposer, self._proposer, self.deadline = self._proposer, None, None
        if proposer:
            proposer(message)
