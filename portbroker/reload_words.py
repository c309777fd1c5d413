"""What a reload says in the log: what changed for callers, or what is wrong and where.

The one rule: a change is one line; a fault has its line of the file, a caret, and what to do. No secret is shown.
"""

from collections.abc import Sequence
from pathlib import Path

from portbroker.config.excerpt import excerpt
from portbroker.config.source import read, text_of
from portbroker.config.syntax import Fault
from portbroker.diff import Change
from portbroker.errors import Problem
from portbroker.status import Returned

_MOST = 8
"""Sentences, and problems, that are shown; more than these nobody reads in a log."""


def switched_words(before: str, after: str, changes: Sequence[Change], cause: str) -> str:
    """One line: what callers meet from now on."""
    told = [change.text for change in changes[:_MOST]]
    if len(changes) > _MOST:
        told.append(f"and {len(changes) - _MOST} changes more")
    if before == after:
        head = f"{cause}: revision {after} with other secrets"
    else:
        head = f"{cause}: revision {after}, was {before}"
    return f"{head}: {'; '.join(told) or 'nothing changes for callers'}"


def returned_words(returned: Returned, changes: Sequence[Change]) -> str:
    """What was returned from by itself, and why: nobody asked for it, so nobody may overlook it."""
    told = [change.text for change in changes[:_MOST]]
    return "\n".join((
        f"RETURNED from revision {returned.revision} to {returned.to}: {returned.why}",
        f"  for callers: {'; '.join(told) or 'nothing changes'}",
        "  hint: the file still has what was returned from; it is refused until the file changes",
    ))  # fmt: skip


def refused_words(problems: Sequence[Problem], revision: str) -> str:
    """What is wrong with the file, and that it harmed nobody."""
    texts: dict[str, str] = {}
    lines = [f"the file cannot be served; still serving {revision}"]
    for problem in problems[:_MOST]:
        text = texts.setdefault(problem.file, _text(problem.file))
        lines += [f"  {line}" for line in _told(problem, text)]
    if len(problems) > _MOST:
        lines.append(f"  and {len(problems) - _MOST} problems more: `portbroker check` lists them all")
    return "\n".join(lines)


def _told(problem: Problem, text: str) -> list[str]:
    where = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    what = f"{problem.path}: {problem.message}" if problem.path else problem.message
    hint = [f"hint: {problem.hint}"] if problem.hint else []
    return [f"{where}: {what}", *excerpt(problem, text), *hint]


def _text(file: str) -> str:
    """What the file holds; nothing when that was the problem."""
    try:
        return text_of(read(Path(file)))
    except Fault:
        return ""
