"""Files that can be served and are hardly meant so: each is told at its place, and what is common is not."""

import json
import re
from pathlib import Path

import pytest

from portbroker.cli import main
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.errors import Problem
from portbroker.lint import lint

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DOUBTFUL = sorted((HERE / "doubtful").glob("*.yaml"))
SOUND = [ROOT / "portbroker.yaml", *sorted((ROOT / "examples").rglob("portbroker.yaml")),
         *sorted((ROOT / "examples").glob("*.yaml"))]  # fmt: skip
EXPECTED = re.compile(r"# warning: (\d+):(\d+) (.+)")


def doubts(path: Path) -> list[Problem]:
    loaded = load(path, environ={}, thorough=True)
    return lint(loaded, compile_snapshot(loaded))


@pytest.mark.parametrize("path", DOUBTFUL, ids=lambda path: path.stem)
def test_a_doubtful_file_is_told_at_the_place_with_the_reason_and_what_to_do(path: Path) -> None:
    found = doubts(path)
    assert [(str(p.line), str(p.column), p.message) for p in found] == EXPECTED.findall(path.read_text())
    assert all(problem.hint for problem in found)


def test_there_are_plenty_of_doubtful_files() -> None:
    assert len(DOUBTFUL) >= 30


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_an_example_leaves_no_doubt(path: Path) -> None:
    assert list(map(str, doubts(path))) == []


@pytest.mark.parametrize("path", [path for path in DOUBTFUL if path.stem.startswith("secret")], ids=lambda p: p.stem)
def test_a_secret_in_clear_is_not_repeated(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = re.findall(
        r"sk-[\w-]{8,}|correct\w+|gsk_\w+|abc123\w+|eyJ[\w.-]+|hunter2|tok3n\S+[^\"}]", path.read_text()
    )
    assert secrets
    for form in ("text", "github", "sarif", "json"):
        assert main(["check", str(path), "--format", form]) == 0
        captured = capsys.readouterr()
        assert not [secret for secret in secrets if secret in captured.out + captured.err]


def test_a_doubt_keeps_nothing_from_being_served_unless_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(HERE / "doubtful" / "include-of-nothing.yaml")
    assert main(["check", path]) == 0
    assert "warning: " in capsys.readouterr().err
    assert main(["check", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], [warning["line"] for warning in told["warnings"]]) == (True, [2])
    assert main(["check", path, "--strict"]) == 1
