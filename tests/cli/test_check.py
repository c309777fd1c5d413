"""`portbroker check` says the same to a person, to a pipeline, to GitHub and to code scanning."""

import json
from pathlib import Path

import pytest

from portbroker.cli import main

GOOD = 'providers:\n  - {name: OpenAI, provider_type: openai, api_key: "{{ env.CLI_TEST_KEY }}"}\n'


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    Path("parts").mkdir()
    Path("parts/a b.yaml").write_text("shade: blue\n")
    Path("bad.yaml").write_text('include: ["parts/*.yaml"]\ncolour: red\n')


@pytest.mark.usefixtures("files")
def test_code_scanning_gets_every_problem_at_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "bad.yaml", "--format", "sarif"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [(place["artifactLocation"]["uri"], place["region"]) for place in places] == [
        ("bad.yaml", {"startLine": 2, "startColumn": 1}),
        ("parts/a%20b.yaml", {"startLine": 1, "startColumn": 1}),
    ]
    assert {result["level"] for result in run["results"]} == {"error"}
    assert {result["ruleId"] for result in run["results"]} <= {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert run["results"][0]["message"]["text"].startswith("colour: ")


@pytest.mark.usefixtures("files")
def test_a_provider_without_its_key_is_a_note_at_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "good.yaml", "--format", "sarif"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert [(result["level"], result["message"]["text"]) for result in run["results"]] == [
        ("note", "OpenAI is inactive: CLI_TEST_KEY is not set")
    ]
    assert main(["check", "good.yaml", "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::notice file=good.yaml,line=2,col=5::")


@pytest.mark.usefixtures("files")
def test_a_pull_request_gets_every_problem_at_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "bad.yaml", "--format", "github"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("::error file=bad.yaml,line=2,col=1::colour: ")
    assert second.startswith("::error file=parts/a b.yaml,line=1,col=1::shade: ")


@pytest.mark.usefixtures("files")
def test_a_machine_is_told_which_files_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    Path("parts/a b.yaml").write_text(GOOD)
    Path("bad.yaml").write_text('include: ["parts/*.yaml"]\n')
    assert main(["check", "bad.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["bad.yaml", "parts/a b.yaml"]
