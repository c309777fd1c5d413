"""Problems as other tools read them: workflow commands of GitHub, and SARIF for code scanning of any kind.

The one rule: one problem is one result, at its line; what is found is the same as for a person.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from portbroker import __version__
from portbroker.cli.problems import said
from portbroker.conversation import Json
from portbroker.errors import Problem

Level = str
"""`error`, `warning` or `notice`."""
_SARIF: Final = {"error": "error", "warning": "warning", "notice": "note"}
_RULES: Final = {
    "error": "the file cannot be served",
    "warning": "the file can be served, and does not mean what it seems to",
    "notice": "something to know of the file",
}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def workflow_command(level: Level, problem: Problem) -> str:
    """What GitHub shows at the line of a pull request."""
    place = f"file={_property(problem.file)},line={problem.line or 1},col={problem.column or 1}"
    return f"::{level} {place}::{_data(_whole(problem))}"


def sarif(found: Iterable[tuple[Level, Problem]]) -> Json:
    """A SARIF 2.1.0 log of one run."""
    rules = [{"id": level, "shortDescription": {"text": text}} for level, text in _RULES.items()]
    driver = {"name": "portbroker", "version": __version__, "rules": rules}
    results = [_result(level, problem) for level, problem in found]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(level: Level, problem: Problem) -> Json:
    region = {"startLine": problem.line or 1, "startColumn": problem.column or 1}
    place = {"artifactLocation": {"uri": _uri(problem.file)}, "region": region}
    return {
        "ruleId": level,
        "level": _SARIF[level],
        "message": {"text": _whole(problem)},
        "locations": [{"physicalLocation": place}],
    }


def _whole(problem: Problem) -> str:
    return said(problem) + (f" ({problem.hint})" if problem.hint else "")


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def markdown_list(problems: Sequence[Problem]) -> list[str]:
    """The problems as lines of a comment."""
    return [f"- `{p.file}:{p.line}:{p.column}` {markdown(_whole(p))}" for p in problems]


def markdown(text: str) -> str:
    """`text` as it stands, in Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~" else letter for letter in text)


def _data(text: str) -> str:
    """`text` as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """`text` as a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
