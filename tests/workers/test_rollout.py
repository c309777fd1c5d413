"""All workers come to one configuration, or none does."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from portbroker.workers.child import Child
from portbroker.workers.messages import Commit, Committed, Message, Prepare, Refused, Reported
from portbroker.workers.rollout import PATIENCE, Rollout

FIRST = Prepare(1, "one", "test.yaml", "/nonexistent", b"", {}, {})
SECOND = replace(FIRST, generation=0, revision="two")


@dataclass
class Floor:
    """A rollout, and all that it has said since it was last asked."""

    rollout: Rollout
    children: list[Child]
    said: list[tuple[int, Message]] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)

    def heard(self) -> list[tuple[int, Message]]:
        said, self.said[:] = list(self.said), []
        return said

    def serve_first(self, *numbers: int) -> None:
        for number in numbers:
            self.rollout.joined(self.children[number])
            self.rollout.ready(self.children[number], 1, 0.0)
            self.rollout.committed(self.children[number], 1)
        self.heard()

    def propose(self) -> None:
        self.rollout.propose(SECOND, self.answers.append, now=0.0, at=10.0)

    def ready(self, number: int, generation: int = 2) -> None:
        self.rollout.ready(self.children[number], generation, 20.0)


@pytest.fixture
def floor() -> Iterator[Floor]:
    channels = [socket.socket() for _ in range(3)]
    said: list[tuple[int, Message]] = []
    children = [Child(number, channel, 0.0) for number, channel in enumerate(channels)]
    yield Floor(Rollout(FIRST, lambda child, message: said.append((child.pid, message)), 5.0), children, said)
    for channel in channels:
        channel.close()


TWO = replace(SECOND, generation=2)


def test_nobody_serves_it_before_everybody_can_and_it_is_done_when_everybody_does(floor: Floor) -> None:
    floor.serve_first(0, 1)
    floor.propose()
    assert floor.heard() == [(0, TWO), (1, TWO)]
    floor.ready(0)
    assert floor.heard() == []
    floor.ready(1)
    assert floor.heard() == [(0, Commit(2, 20.0)), (1, Commit(2, 20.0))]
    floor.rollout.committed(floor.children[0], 2)
    assert floor.answers == []
    floor.rollout.committed(floor.children[1], 2)
    assert floor.answers == [Committed(2)]
    assert (floor.rollout.current, floor.rollout.since, floor.rollout.deadline) == (TWO, 20.0, None)


def test_one_that_refuses_keeps_all_at_what_they_serve(floor: Floor) -> None:
    floor.serve_first(0, 1)
    floor.propose()
    floor.ready(0)
    floor.heard()
    assert floor.rollout.refused(floor.children[1], 2, "no memory") is False
    assert floor.answers == [Refused(2, "no memory")]
    floor.ready(1)  # too late
    assert floor.heard() == []
    assert floor.rollout.current == FIRST
    floor.propose()
    assert floor.heard() == [(0, replace(TWO, generation=3)), (1, replace(TWO, generation=3))]


def test_one_that_dies_is_waited_for_no_longer_and_its_successor_gets_what_was_committed(floor: Floor) -> None:
    floor.serve_first(0, 1)
    floor.propose()
    floor.ready(0)
    floor.heard()
    floor.rollout.left(floor.children[1], 30.0)
    assert floor.heard() == [(0, Commit(2, 30.0))]
    floor.rollout.committed(floor.children[0], 2)
    assert floor.answers == [Committed(2)]
    floor.rollout.joined(floor.children[2])
    floor.ready(2)
    assert floor.heard() == [(2, TWO), (2, Commit(2, 30.0))]


def test_one_that_starts_meanwhile_is_asked_along(floor: Floor) -> None:
    floor.serve_first(0)
    floor.rollout.joined(floor.children[1])
    floor.propose()
    floor.heard()
    floor.ready(1, 1)
    assert floor.heard() == [(1, Commit(1, 5.0)), (1, TWO)]
    floor.ready(0)
    assert floor.heard() == []
    floor.rollout.committed(floor.children[1], 1)
    floor.ready(1)
    assert floor.heard() == [(0, Commit(2, 20.0)), (1, Commit(2, 20.0))]


def test_one_that_is_overtaken_while_it_starts_begins_with_the_later(floor: Floor) -> None:
    floor.serve_first(0)
    floor.rollout.joined(floor.children[1])
    floor.propose()
    floor.ready(0)
    floor.heard()
    floor.ready(1, 1)
    assert floor.heard() == [(1, TWO)]
    floor.ready(1, 2)
    assert floor.heard() == [(1, Commit(2, 20.0))]


def test_what_is_not_prepared_in_time_is_dropped(floor: Floor) -> None:
    floor.serve_first(0, 1)
    floor.propose()
    floor.ready(0)
    floor.rollout.expire(PATIENCE - 1)
    assert floor.answers == []
    floor.rollout.expire(PATIENCE)
    assert floor.answers == [Refused(2, "not prepared within 30 s by worker 1")]
    assert floor.rollout.current == FIRST


def test_what_is_committed_is_done_even_when_one_never_says_so(floor: Floor) -> None:
    floor.serve_first(0, 1)
    floor.propose()
    floor.ready(0)
    floor.ready(1)
    floor.rollout.committed(floor.children[0], 2)
    floor.rollout.expire(PATIENCE)
    assert floor.answers == [Committed(2)]


def test_without_any_worker_it_is_served_by_those_that_start(floor: Floor) -> None:
    floor.propose()
    assert floor.answers == [Committed(2)]
    floor.rollout.joined(floor.children[0])
    assert floor.heard() == [(0, TWO)]


def test_one_that_cannot_serve_what_is_committed_has_nothing_to_serve(floor: Floor) -> None:
    floor.rollout.joined(floor.children[0])
    assert floor.rollout.refused(floor.children[0], 1, "broken") is True


def test_how_the_last_reload_went_is_told_to_those_who_start_later_too(floor: Floor) -> None:
    floor.serve_first(0)
    floor.rollout.report(Reported({"last": 7}))
    assert floor.heard() == [(0, Reported({"last": 7}))]
    floor.rollout.joined(floor.children[1])
    floor.ready(1, 1)
    assert floor.heard() == [(1, FIRST), (1, Commit(1, 5.0)), (1, Reported({"last": 7}))]
