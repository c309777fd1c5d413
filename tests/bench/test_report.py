"""The table of a run."""

from typing import Any

from bench.report import cost_of, table


def row(side: str, cpu: float, number: int = 0, **more: Any) -> dict[str, Any]:
    counted = {"answers": 10, "events": 0, "failures": 0, "unfinished": 0, "memory": 40.0}
    return {"scenario": "chat", "connections": 16, "side": side, "round": number, "cpu": cpu, **counted, **more}


def lines(*rows: dict[str, Any]) -> list[list[str]]:
    return [line.split() for line in table(rows).splitlines()[1:]]


def test_ratios_are_those_of_the_same_round() -> None:
    noisy = [row("nginx", 100, 0), row("portbroker", 300, 0), row("nginx", 200, 1), row("portbroker", 600, 1)]
    assert lines(*noisy)[0][-2:] == ["3.00", "x"]


def test_streams_cost_by_event_and_other_calls_by_call() -> None:
    assert cost_of(row("bare", 100)) == 10
    assert cost_of(row("bare", 100, events=50)) == 2


def test_a_side_that_did_not_answer_everything_has_no_figure() -> None:
    assert lines(row("bare", 100, failures=1))[0][-1] == "failed"
    assert cost_of(row("bare", 100, unfinished=1)) is None
    assert cost_of(row("bare", 100, answers=0)) is None


def test_the_spread_says_how_far_the_rounds_lie_apart() -> None:
    assert "±10%" in lines(row("bare", 90, 0), row("bare", 100, 1), row("bare", 110, 2))[0]
