"""Configuration to snapshot: what a file means, and what it cannot mean."""

from pathlib import Path

import pytest

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.errors import CallError
from portbroker.snapshot import Snapshot


def snapshot(text: str) -> Snapshot:
    return compile_snapshot(load_text(text.encode(), file="f.yaml", directory=Path("/nonexistent"), environ={}))


def test_a_default_rule_whose_tier_nobody_has_takes_no_names() -> None:
    local = "providers: [{name: L, base_url: 'http://127.0.0.1:9/v1', small_model: s, models: ['claude-*']}]"
    made = snapshot(local)
    assert [rule.tier for rule in made.rules] == ["small"]
    assert made.pool("claude-haiku-5-5").targets[0].model == "s"
    assert made.pool("claude-opus-5-5").targets[0].model == "claude-opus-5-5"


def test_a_name_that_only_a_default_rule_could_have_meant_is_unknown() -> None:
    with pytest.raises(CallError, match=r"no rule and no provider serves the model 'claude-opus-5-5'"):
        snapshot("providers: [{name: L, base_url: 'http://127.0.0.1:9/v1', models: [m]}]").pool("claude-opus-5-5")


def test_without_providers_the_demo_answers_to_any_name() -> None:
    made = snapshot("server: {port: 8000}")
    assert [made.pool(name).targets[0].provider.name for name in ("claude-opus-5-5", "m")] == ["demo", "demo"]
