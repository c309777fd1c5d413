"""Every translation case, as it stands in the files of `tests/cases`."""

from pathlib import Path

import pytest

from portbroker.cases.case import Case, CaseError, read_cases
from portbroker.cases.run import Outcome, run_case
from portbroker.cases.streams import byte_by_byte
from portbroker.cli.outcomes import failure
from portbroker.cli.terminal import Terminal

CASES = [item for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl")) for item in read_cases(path)]
STREAMS = [
    case for _, case in CASES if isinstance(case, Case) and case.kind == "stream" and isinstance(case.input, list)
]
LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def shown(outcome: Outcome) -> str:
    return "\n".join(failure(outcome, Terminal()))


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES])
def test_a_case_gives_what_it_says(case: Case | CaseError) -> None:
    assert isinstance(case, Case), str(case)
    outcome = run_case(case)
    assert outcome.passed, shown(outcome)


@pytest.mark.parametrize("line_end", [pytest.param(end, id=name) for name, end in LINE_ENDS.items()])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in STREAMS])
def test_a_stream_cut_at_every_byte_gives_the_same_events(case: Case, line_end: bytes) -> None:
    outcome = run_case(case, reads=byte_by_byte(line_end))
    assert outcome.passed, shown(outcome)
