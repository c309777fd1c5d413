"""`auth`, `usage` and `limits` of the file."""

from pathlib import Path

import pytest

from portbroker.config.callers import age_seconds
from portbroker.config.load import load_text
from portbroker.config.model import Config
from portbroker.errors import ConfigError


def config(text: str) -> Config:
    return load_text(text.encode(), file="portbroker.yaml", directory=Path("/nonexistent"), environ={}).config


def test_without_a_word_this_machine_calls_without_a_key_and_counts_for_itself() -> None:
    found = config("{}\n")
    assert (found.auth.calls, found.usage.retention, found.limits.backend) == ("local", "90d", "memory")
    assert found.limits.url == ""


def test_a_backend_is_a_word_or_a_url_that_is_not_shown() -> None:
    found = config('limits: {backend: "redis://:hunter2@cache:6379/0"}\n')
    assert found.limits.url == "redis://:hunter2@cache:6379/0"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("text", ['"http://x"', "disk", '"redis://"', "3"])
def test_another_backend_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        config(f"limits: {{backend: {text}}}\n")


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200), ("90d", 7776000), ("2w", 1209600), ("forever", None)])
def test_ages(text: str, seconds: int | None) -> None:
    assert config(f"usage: {{retention: {text}}}\n").usage.retention == text
    assert age_seconds(text) == seconds


@pytest.mark.parametrize("text", ["0d", "90", "90s", "d", "-1d", "100000000d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        config(f'usage: {{retention: "{text}"}}\n')
