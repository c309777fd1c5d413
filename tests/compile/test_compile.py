"""Configuration to snapshot: what a file means, and what it cannot mean."""

import re
from pathlib import Path

import pytest

from portbroker.compile import compile_snapshot
from portbroker.config.load import load, load_text
from portbroker.errors import CallError, ConfigError
from portbroker.snapshot import Snapshot
from tests.calls import asking


def snapshot(text: str) -> Snapshot:
    return compile_snapshot(load_text(text.encode(), file="f.yaml", directory=Path("/nonexistent"), environ={}))


def test_a_default_rule_whose_tier_nobody_has_takes_no_names() -> None:
    local = "providers: [{name: L, base_url: 'http://127.0.0.1:9/v1', small_model: s, models: ['claude-*']}]"
    made = snapshot(local)
    assert [rule.tier for rule in made.models.rules] == ["small"]
    assert made.resolve(asking("claude-haiku-5-5")).targets[0].model == "s"
    assert made.resolve(asking("claude-opus-5-5")).targets[0].model == "claude-opus-5-5"


def test_a_name_that_only_a_default_rule_could_have_meant_is_unknown() -> None:
    with pytest.raises(CallError, match=r"no rule and no provider serves the model 'claude-opus-5-5'"):
        snapshot("providers: [{name: L, base_url: 'http://127.0.0.1:9/v1', models: [m]}]").resolve(
            asking("claude-opus-5-5")
        )


def test_without_providers_the_demo_answers_to_any_name() -> None:
    made = snapshot("server: {port: 8000}")
    assert [made.resolve(asking(name)).targets[0].provider.name for name in ("claude-opus-5-5", "m")] == [
        "demo",
        "demo",
    ]


BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
EXPECTED = re.compile(r"# error: (\d+):(\d+) (.+)")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_file_whose_rules_cannot_be_is_refused_at_the_place_with_the_reason(path: Path) -> None:
    expected = EXPECTED.findall(path.read_text())
    with pytest.raises(ConfigError) as caught:
        compile_snapshot(load(path, environ={}))
    found = caught.value.problems
    assert len(expected) == len(found), [str(problem) for problem in found]
    for (line, column, message), problem in zip(expected, found, strict=True):
        assert (problem.line, problem.column) == (int(line), int(column)), str(problem)
        assert message in problem.message
