"""The record of a call and its line in the log."""

import logging

import pytest

from portbroker.errors import GatewayError
from portbroker.usage import AttemptRecord, CallLog, Exchange


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def exchange(status: int = 200, *, partial: bool = False) -> Exchange:
    return Exchange("POST", "/v1/messages", "rev", request_id="req_1", status=status, partial=partial)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_says_who_was_asked_what_came_of_it_and_what_it_cost() -> None:
    call = exchange()
    call.model = "big"
    call.attempts = [AttemptRecord("A", "a-1", "overloaded", 529, 0.25), AttemptRecord("B", "b-1", why="next target")]
    call.usage = {"input_tokens": 3, "output_tokens": 5}
    call.adaptations = ["dropped:seed"]
    words = str(call).split(" ", 4)
    assert words[:3] == ["POST", "/v1/messages", "200"]
    assert words[4] == (
        "big -> A/a-1 (overloaded 529 after 0.250s), next target: B/b-1 tokens=3+5 adaptations=dropped:seed req_1"
    )


def test_a_line_says_why_a_call_failed_and_that_its_answer_was_cut() -> None:
    call = exchange(502, partial=True)
    call.error = GatewayError("nobody answers", status=502)
    assert str(call).endswith("partial error='nobody answers' req_1")


def test_calls_that_went_well_are_logged_up_to_a_number_a_second_and_then_counted(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    caplog.set_level(logging.INFO, "portbroker.calls")
    log = CallLog(most=2, clock=clock)
    for _ in range(5):
        log.record(exchange())
    assert len(caplog.records) == 2
    clock.now = 1.0
    log.record(exchange())
    assert lines(caplog)[2] == ("INFO", "3 more calls went well")
    assert len(caplog.records) == 4


@pytest.mark.parametrize(("status", "partial"), [(500, False), (529, False), (200, True)])
def test_a_call_that_failed_is_always_logged(
    caplog: pytest.LogCaptureFixture, clock: Clock, status: int, partial: bool
) -> None:
    caplog.set_level(logging.WARNING, "portbroker.calls")
    log = CallLog(most=0, clock=clock)
    log.record(exchange())
    log.record(exchange(status, partial=partial))
    assert [level for level, _ in lines(caplog)] == ["WARNING"]


def test_at_level_debug_every_call_is_logged(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level(logging.DEBUG, "portbroker.calls")
    log = CallLog(most=1, clock=clock)
    for _ in range(5):
        log.record(exchange())
    assert len(caplog.records) == 5
