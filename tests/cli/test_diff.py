"""`portbroker diff` says what changes for callers, to people and to pipelines."""

import json
from pathlib import Path

import pytest

from portbroker.cli import main

BEFORE = """\
providers:
  - {name: OpenAI, provider_type: openai, api_key: "{{ env.CLI_TEST_KEY }}", small_model: gpt-4o-mini}
"""
AFTER = BEFORE.replace("gpt-4o-mini", "gpt-5-mini")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(BEFORE)
    Path("b.yaml").write_text(AFTER)
    Path("c.yaml").write_text(f"# the same\n{BEFORE}")
    Path("bad.yaml").write_text("colour: red\n")


@pytest.mark.usefixtures("files")
def test_what_changes_is_listed_and_the_status_says_that_something_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "b.yaml"]) == 1
    assert capsys.readouterr().out == "~ claude-*haiku*: gpt-5-mini at OpenAI, was gpt-4o-mini\n"


@pytest.mark.usefixtures("files")
def test_files_that_mean_the_same_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "c.yaml"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "nothing changes for callers\n")


@pytest.mark.usefixtures("files")
def test_a_machine_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "b.yaml", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    assert told["changes"] == [{"kind": "changed", "text": "claude-*haiku*: gpt-5-mini at OpenAI, was gpt-4o-mini"}]
    assert len(set(told["revisions"])) == 2


@pytest.mark.parametrize(
    ("file", "words"), [("bad.yaml", "error: bad.yaml:1:1: colour: "), ("none.yaml", "error: none.yaml: no such file")]
)
@pytest.mark.usefixtures("files")
def test_a_file_that_cannot_be_compared_is_trouble(file: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", file]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_the_comment_on_a_pull_request_is_markdown_that_shows_globs_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["diff", "a.yaml", "b.yaml", "--format", "markdown"]) == 1
    mark, title, _, change, _, revisions = capsys.readouterr().out.splitlines()
    assert (mark, title) == ("<!-- portbroker diff -->", "### What changes for callers")
    assert change == r"- **changed** claude-\*haiku\*: gpt-5-mini at OpenAI, was gpt-4o-mini"
    assert revisions.startswith("Revision `")
    assert main(["diff", "a.yaml", "c.yaml", "--format", "markdown"]) == 0
    assert "\nNothing.\n" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_a_file_that_cannot_be_served_is_a_comment_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "bad.yaml", "--format", "markdown"]) == 2
    printed = capsys.readouterr().out
    assert "### This configuration cannot be served\n\n- `bad.yaml:1:1` colour: " in printed
    assert main(["diff", "a.yaml", "bad.yaml", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["line"] == 1
