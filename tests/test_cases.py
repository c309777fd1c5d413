"""Every translation case, as it stands in the files of `tests/cases`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portbroker.cases.case import Case, CaseError, read_cases
from portbroker.cases.run import Outcome, run_case
from portbroker.cases.streams import byte_by_byte, event_by_event, events_of, upstream_bytes
from portbroker.cli.outcomes import failure
from portbroker.cli.probe import ProbedGateway
from portbroker.cli.terminal import Terminal

DIRECTORY = Path(__file__).parent / "cases"
CASES = [item for path in sorted(DIRECTORY.glob("*.jsonl")) for item in read_cases(path)]
STREAMS = [
    case for _, case in CASES if isinstance(case, Case) and case.kind == "stream" and isinstance(case.input, list)
]
LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[ProbedGateway]:
    with ProbedGateway() as running:
        yield running


def check(outcome: Outcome) -> None:
    assert outcome.passed, "\n".join(failure(outcome, Terminal()))


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES])
def test_a_case_gives_what_it_says(case: Case | CaseError, gateway: ProbedGateway) -> None:
    assert isinstance(case, Case), str(case)
    check(run_case(case, gateway.probe))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_stream_read_event_by_event_gives_the_same_events(case: Case) -> None:
    check(run_case(case, reads=event_by_event))


@pytest.mark.parametrize("line_end", [pytest.param(end, id=name) for name, end in LINE_ENDS.items()])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_stream_cut_at_every_byte_gives_the_same_events(case: Case, line_end: bytes) -> None:
    check(run_case(case, reads=byte_by_byte(line_end)))


@pytest.mark.parametrize("line_end", [pytest.param(end, id=name) for name, end in LINE_ENDS.items()])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_stream_cut_once_anywhere_is_read_as_the_same_events(case: Case, line_end: bytes) -> None:
    data = upstream_bytes(case.input, case.source)[0].replace(b"\n", line_end)
    whole = events_of([data])
    assert all(events_of([data[:at], data[at:]]) == whole for at in range(len(data)))
