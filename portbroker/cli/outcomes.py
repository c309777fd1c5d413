"""Outcomes of tests as a person reads them, and as a machine does.

The one rule: a difference shows the place first, then both values from where they part.
"""

import sys
from collections.abc import Iterable
from typing import Any, Final, Protocol

import orjson

from portbroker.cases.compare import MISSING, Difference
from portbroker.cases.run import Outcome
from portbroker.cli.problems import headline
from portbroker.cli.terminal import Terminal
from portbroker.conversation import Json
from portbroker.errors import Problem

_WIDTH: Final = 160
_BEFORE: Final = 40


class Covering(Protocol):
    """What the outcomes have reached."""

    @property
    def count(self) -> tuple[int, int]:
        """How many rules were reached, and how many there are."""

    def unreached(self) -> list[Problem]:
        """The others."""


def report(
    outcomes: Iterable[Outcome], terminal: Terminal, *, json: bool = False, coverage: Covering | None = None
) -> int:
    """Print each failure, the count and, where wanted, the rules not reached; the exit status."""
    seen = list(outcomes)
    failed = [outcome for outcome in seen if not outcome.passed]
    if json:
        told = {"passed": len(seen) - len(failed), "failed": len(failed), "failures": list(map(_plain, failed))}
        terminal.json(told | ({"coverage": _covered(coverage)} if coverage else {}))
        return 1 if failed else 0
    for outcome in failed:
        for line in failure(outcome, terminal):
            terminal.say(line)
        terminal.say()
    terminal.say(f"{len(seen) - len(failed)} passed, {len(failed)} failed")
    if coverage:
        _say_coverage(coverage, terminal)
    return 1 if failed else 0


def _covered(coverage: Covering) -> Json:
    reached, rules = coverage.count
    return {"reached": reached, "rules": rules, "unreached": [problem.plain() for problem in coverage.unreached()]}


def _say_coverage(coverage: Covering, terminal: Terminal) -> None:
    reached, rules = coverage.count
    colour = "green" if reached == rules else "yellow"
    terminal.say(terminal.paint(f"{reached} of {rules} rules reached", colour))
    for problem in coverage.unreached():
        terminal.say(f"  {headline(problem, terminal, sys.stdout)}")


def failure(outcome: Outcome, terminal: Terminal) -> list[str]:
    """One failed test, readable."""
    title = f"  {outcome.title}" if outcome.title else ""
    lines = [f"{terminal.paint('FAIL', 'red')} {terminal.paint(outcome.name, 'bold')}{title}"]
    if outcome.why:
        lines.append(terminal.paint(f"  {outcome.why}", "dim"))
    if outcome.reason:
        lines.append(f"  {outcome.reason}")
    for difference in outcome.differences:
        lines += _difference(difference, terminal)
    return lines


def _difference(difference: Difference, terminal: Terminal) -> list[str]:
    expected, got = _text(difference.expected), _text(difference.got)
    start = _parting(expected, got)
    return [
        f"  {difference.path or 'the whole'}",
        f"    expected  {terminal.paint(_excerpt(expected, start), 'green')}",
        f"    got       {terminal.paint(_excerpt(got, start), 'red')}",
    ]


def _text(value: Any) -> str:
    return "nothing" if value is MISSING else orjson.dumps(value, default=str).decode()


def _parting(one: str, other: str) -> int:
    """Where the two texts begin to differ."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _excerpt(text: str, at: int) -> str:
    if len(text) <= _WIDTH:
        return text
    start = max(0, min(at - _BEFORE, len(text) - _WIDTH))
    end = start + _WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _plain(outcome: Outcome) -> Json:
    return {
        "name": outcome.name,
        "title": outcome.title,
        "reason": outcome.reason or None,
        "differences": [
            {
                "path": difference.path,
                **({} if difference.expected is MISSING else {"expected": difference.expected}),
                **({} if difference.got is MISSING else {"got": difference.got}),
            }
            for difference in outcome.differences
        ],
    }
