"""The faults of a file, as a person at a terminal reads them: the place, the line with a caret, and what to do."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from portbroker.cli.terminal import Terminal
from portbroker.errors import Problem


def show_problems(problems: Iterable[Problem], terminal: Terminal, level: str = "error") -> None:
    """Print every problem to standard error."""
    texts: dict[str, str] = {}
    for problem in problems:
        if problem.file not in texts:
            texts[problem.file] = _text(problem.file)
        terminal.error(headline(problem, terminal), problem.hint, level, _excerpt(problem, texts[problem.file]))


def headline(problem: Problem, terminal: Terminal, stream: TextIO | None = None) -> str:
    """`file:line:column: path: message`, for standard error when no other stream is given."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    return f"{terminal.paint(place, 'bold', stream or sys.stderr)}: {said(problem)}"


def said(problem: Problem) -> str:
    """What is wrong, without its place in the file."""
    return f"{problem.path}: {problem.message}" if problem.path else problem.message


def _excerpt(problem: Problem, text: str) -> list[str]:
    from portbroker.config.excerpt import excerpt

    return excerpt(problem, text) if text else []


def _text(file: str) -> str:
    """What the file holds; nothing when that was the problem."""
    from portbroker.config.source import read, text_of
    from portbroker.config.syntax import Fault

    try:
        return text_of(read(Path(file)))
    except Fault:
        return ""
