"""`portbroker test --coverage` names the rules that no test reaches, and only those."""

import json
from pathlib import Path

import pytest

from portbroker.cli import main

FILE = """\
providers:
  - {name: A, provider_type: openai, api_key: "{{ env.CLI_TEST_KEY }}", small_model: s, models: [x-1]}
  - name: B
    base_url: http://127.0.0.1:9/v1
    models: [m]
    translation: {rules_on_passthrough: true, request: [{drop: seed}, {id: never, drop: other}]}
models:
  - {match: alias, model: fast}
  - {match: fast, targets: [{provider: B, model: m}]}
  - {match: slow, targets: [{provider: A, model: m}]}
translations:
  mine: {extends: [openai], match: {model: "x-*"}, request: [{id: mine, drop: model}]}
catalog:
  m: {request: [{drop: temperature, when: {temperature: {gt: 1}}}]}
tests:
  - name: an alias
    request: {path: /v1/chat/completions, body: {model: alias, seed: 1, temperature: 1, messages: []}}
    expect: {provider: B}
"""
SECOND = """\
  - name: the others
    request: {path: /v1/chat/completions, body: {model: slow, messages: []}}
    expect: {provider: A}
  - name: hot
    request: {path: /v1/chat/completions, body: {model: fast, temperature: 2, other: 1, messages: []}}
    expect: {provider: B}
  - name: translated
    request: {path: /v1/messages, body: {model: x-1, max_tokens: 9, top_k: 5, messages: [{role: user, content: hi}]}}
    expect: {provider: A}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("portbroker.yaml")
    path.write_text(FILE)
    return path


def test_rules_that_no_test_reaches_are_named_at_their_places(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--coverage"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 passed, 0 failed",
        "3 of 7 rules reached",
        "  portbroker.yaml:10:5: models[2]: no test reaches this rule (slow)",
        "  portbroker.yaml:12:62: translations.mine.request[0]: no test reaches this rule (mine)",
        "  portbroker.yaml:6:71: providers[1].translation.request[1]: no test reaches this rule (never)",
        "  portbroker.yaml:14:17: catalog.m.request[0]: no test reaches this rule (drop)",
    ]


def test_all_are_reached_when_tests_see_to_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE + SECOND)
    assert main(["test", "--coverage"]) == 0
    assert capsys.readouterr().out == "4 passed, 0 failed\n7 of 7 rules reached\n"


def test_a_machine_gets_the_same(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--coverage", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["coverage"]
    assert (told["reached"], told["rules"]) == (3, 7)
    assert told["unreached"][0]["path"] == "models[2]"


def test_a_file_without_rules_of_its_own_has_nothing_to_reach(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("providers: []\n")
    assert main(["test", "--coverage"]) == 0
    assert capsys.readouterr().out == "0 passed, 0 failed\n0 of 0 rules reached\n"
