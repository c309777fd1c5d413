"""Reading the file of cases."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from portbroker.cases.case import Case, CaseError, parse_case, read_cases


def line(**changes: Any) -> bytes:
    raw = {"id": "x-1", "direction": "openai->anthropic", "kind": "response", "input": {}, "expect": {}} | changes
    return orjson.dumps({key: value for key, value in raw.items() if value is not ...})


def test_options_are_told_apart_from_what_is_known_of_the_answer() -> None:
    answer = {"think_tags": True, "stop_sequences": ["END"], "custom_tools": ["sql"]}
    case = parse_case(line(options={"vision": False, "json": "prompt", **answer}))
    assert (case.options.vision, case.options.json_, case.options.think_tags) == (False, "prompt", True)
    assert case.answer.think_tags
    assert case.answer.stop_sequences == ("END",)
    assert case.answer.custom_tools == frozenset({"sql"})


def test_header_names_are_expected_in_any_spelling() -> None:
    assert parse_case(line(expect={"$headers": {"X-Should-Retry": "false"}})).expect == {
        "$headers": {"x-should-retry": "false"}
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"visions": True}}, "unknown option: visions"),
        ({"options": {"vision": "perhaps"}}, "option vision: "),
        ({"options": {"stop_sequences": "END"}}, "option stop_sequences: tuple expected"),
        ({"options": {"include_usage": 1}}, "option include_usage: bool expected"),
        ({"expectations": 1}, "unknown: expectations"),
        ({"expect_subset": {}}, "exactly one of expect and expect_subset"),
        ({"expect": ...}, "exactly one of expect and expect_subset"),
        ({"expect": ..., "expect_subset": []}, "expect_subset and options are objects"),
        ({"input": ...}, "input is missing"),
        ({"direction": "openai->gemini"}, "unknown direction 'openai->gemini'"),
        ({"direction": "gateway->openai"}, "unknown direction"),
        ({"kind": "answer"}, "kind one of request, response, stream"),
        ({"adaptations": "none"}, "adaptations is a list"),
    ],
)
def test_a_case_that_says_something_unknown_is_at_fault(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        parse_case(line(**changes))


def test_a_line_that_is_no_case_is_named_by_its_place_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(line() + b"\n\n[1]\n{\n" + line(id="x-2"))
    read = list(read_cases(path))
    assert [name for name, _ in read] == ["x-1", f"{path}:3", f"{path}:4", "x-2"]
    assert [isinstance(case, Case) for _, case in read] == [True, False, False, True]
