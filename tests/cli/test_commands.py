"""What the commands say about a file."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from portbroker.cli import main

FILE = """\
providers:
  - name: OpenAI
    provider_type: openai
    api_key: "{{ env.CLI_TEST_KEY }}"
    small_model: gpt-5-mini
    priority: 1
  - name: Local
    base_url: http://127.0.0.1:9/v1
    small_model: tiny
    models: [tiny, "tiny-*"]
    translation: {options: {top_k: true}, request: [{id: no-seed, drop: seed, report: true}]}
    priority: 2
models:
  - {match: "claude-*haiku*", tier: small}
  - {match: fast, targets: [{provider: Local, model: tiny}]}
"""
CALL = {"model": "claude-haiku-4-5", "max_tokens": 10, "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CLI_TEST_KEY", raising=False)
    monkeypatch.delenv("PORTBROKER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "portbroker.yaml"
    path.write_text(FILE)
    return path


class Commands:
    """Runs a command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *args: str, stdin: Any = None) -> tuple[int, str, str]:
        if stdin is not None:
            self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(stdin).encode())))
        status = main(args)
        captured = self._capsys.readouterr()
        return status, captured.out, captured.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(capsys, monkeypatch)


# check


def test_check_sums_up_a_good_file(file: Path, run: Commands) -> None:
    status, out, err = run("check")
    revision = out.split("revision ")[1].split("\n")[0]
    assert (status, err) == (0, "")
    assert (
        out
        == f"""\
good  portbroker.yaml  revision {revision}

providers
  OpenAI  openai  inactive  CLI_TEST_KEY is not set  big: gpt-5.2, medium: gpt-5.2, small: gpt-5-mini
  Local   custom  active    http://127.0.0.1:9/v1    small: tiny

models
  claude-*haiku*  the small model of each provider
  fast            Local/tiny

routes
  /v1/messages                anthropic.messages
  /api/anthropic/v1/messages  anthropic.messages
  /v1/chat/completions        openai.chat
  /v1/responses               openai.responses
"""
    )


def test_check_says_the_same_to_a_machine(file: Path, run: Commands) -> None:
    status, out, _ = run("check", "--json")
    summary = json.loads(out)
    assert status == 0
    assert [(p["name"], p["active"], p["reason"]) for p in summary["providers"]] == [
        ("OpenAI", False, "CLI_TEST_KEY is not set"),
        ("Local", True, None),
    ]
    assert summary["models"][1] == {
        "match": "fast", "tier": None, "targets": [{"provider": "Local", "model": "tiny"}],
    }  # fmt: skip


def test_check_says_who_goes_through_a_proxy_and_not_with_which_credentials(
    file: Path, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:s3cr3t@proxy.test:3128")
    monkeypatch.setenv("CLI_TEST_KEY", "sk-1")
    _, out, err = run("check")
    assert "https://api.openai.com/v1 through the proxy proxy.test:3128  big:" in out
    assert "http://127.0.0.1:9/v1                                        small:" in out
    _, report, _ = run("check", "--json")
    assert [provider["proxy"] for provider in json.loads(report)["providers"]] == ["proxy.test:3128", None]
    assert "s3cr3t" not in out + err + report


def test_check_points_at_every_fault(file: Path, run: Commands) -> None:
    file.write_text(FILE.replace("priority: 1", "priorty: 1").replace("provider: Local,", "provider: Lokal,"))
    status, out, err = run("check")
    assert (status, out) == (1, "")
    assert err.startswith("error: portbroker.yaml:6:5: providers[0].priorty: the key `priorty` is not known here\n")
    assert "\n 6 |     priorty: 1\n   |     ^^^^^^^" in err
    assert err.endswith("\nhint:  did you mean `priority`?\n")
    file.write_text(FILE.replace("provider: Local,", "provider: Lokal,"))
    status, _, err = run("check", "--format", "text")
    assert status == 1
    assert "portbroker.yaml:15:40" in err
    assert "no provider is called 'Lokal'" in err
    assert "did you mean 'Local'?" in err


def test_check_annotates_a_pull_request(file: Path, run: Commands) -> None:
    file.write_text(FILE.replace("priority: 1", "priorty: 1"))
    status, out, err = run("check", "--format", "github")
    assert (status, err) == (1, "")
    assert out == (
        "::error file=portbroker.yaml,line=6,col=5::providers[0].priorty: the key `priorty` is not known here"
        " (did you mean `priority`?)\n"
    )
    file.write_text(FILE)
    status, out, _ = run("check", "--format", "github")
    assert (status, out) == (
        0,
        "::notice file=portbroker.yaml,line=2,col=5::OpenAI is inactive: CLI_TEST_KEY is not set\n",
    )


# explain


def test_explain_names_the_rule_the_order_and_who_is_passed_over(file: Path, run: Commands) -> None:
    status, out, _ = run("explain", "--model", "claude-haiku-4-5", "--path", "/v1/messages?beta=true")
    assert status == 0
    assert (
        out
        == """\
path   /v1/messages (anthropic.messages)
model  claude-haiku-4-5
rule   models rule 1: claude-*haiku*, tier small

tried in this order
  1.  Local  tiny  openai.chat  http://127.0.0.1:9/v1/chat/completions  translated  priority 2

passed over
  OpenAI  CLI_TEST_KEY is not set
"""
    )


def test_explain_shows_the_order_of_priority_when_all_have_their_credential(
    file: Path, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLI_TEST_KEY", "sk-secret-of-the-test")
    _, out, _ = run("explain", "--model", "claude-haiku-4-5", "--json")
    explained = json.loads(out)
    assert [(t["provider"], t["model"], t["url"]) for t in explained["targets"]] == [
        ("OpenAI", "gpt-5-mini", "https://api.openai.com/v1/chat/completions"),
        ("Local", "tiny", "http://127.0.0.1:9/v1/chat/completions"),
    ]
    assert "sk-secret" not in out


ROUTED = (
    FILE
    + """\
  - match: mine
    when: {any: [{input_tokens: {gt: 50}}, {header.x-team: research}]}
    model: tiny
    fallbacks: {context_window: [tiny-2]}
  - match: mine
    strategy: weighted
    targets: [{provider: Local, model: a, weight: 1}, {provider: Local, model: b, weight: 3}]
"""
)


def test_explain_shows_what_conditions_see_of_a_body_and_why_each_target_has_its_place(
    file: Path, run: Commands, tmp_path: Path
) -> None:
    file.write_text(ROUTED)
    (tmp_path / "call.json").write_text(json.dumps(CALL | {"model": "mine"}))
    status, out, _ = run("explain", "--body", "call.json", "--header", "X-Team: sales")
    assert status == 0
    (look,) = [line for line in out.splitlines() if line.startswith("  rule 3")]
    assert look.endswith("  does not hold  input_tokens is 27, header.x-team is sales")
    assert "strategy  weighted: by weight: this is the first turn" in out
    first, second = (line for line in out.splitlines() if "openai.chat" in line)
    assert first.startswith("  1.  Local  b")
    assert first.endswith("weight 3 of 4")
    assert second.endswith("weight 1 of 4")


def test_explain_reads_a_body_from_standard_input_and_tells_a_machine(file: Path, run: Commands) -> None:
    file.write_text(ROUTED)
    status, out, _ = run("explain", "--body", "-", "--json", "--header", "x-team: research", stdin={"model": "mine"})
    explained = json.loads(out)
    assert status == 0
    assert explained["conditions"] == [
        {"rule": 3, "holds": True, "saw": {"input_tokens": 4, "header.x-team": "research"}}
    ]
    assert explained["fallbacks"] == {"context_window": ["tiny-2"]}
    assert [(t["model"], t["reason"]) for t in explained["targets"]] == [("tiny", "priority 2")]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "error: say which model is asked for\nhint:  --model NAME, or --body FILE\n"),
        (["--body", "nowhere.json"], "error: nowhere.json: No such file or directory\n"),
        (["--model", "m", "--header", "x-team"], "error: 'x-team' is not a header\nhint:  write it as 'NAME: VALUE'\n"),
    ],
)
def test_explain_says_what_it_needs(args: list[str], complaint: str, file: Path, run: Commands) -> None:
    assert run("explain", *args) == (2, "", complaint)


def test_explain_refuses_what_nobody_serves(file: Path, run: Commands) -> None:
    status, out, err = run("explain", "--model", "claude-9")
    assert (status, out) == (1, "")
    assert err.startswith("error: no rule and no provider serves the model 'claude-9'")
    status, _, err = run("explain", "--model", "fast", "--path", "/v1/mesages")
    assert (status, err) == (1, "error: /v1/mesages is not a route of this file\nhint:  did you mean '/v1/messages'?\n")


# translate


def test_translate_gives_a_providers_body_without_its_credential(file: Path, run: Commands) -> None:
    status, out, err = run("translate", "--provider", "openai", stdin=CALL)
    assert status == 0
    assert json.loads(out) == {
        "model": "gpt-5-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 10,
    }
    assert err == "dropped   top_k\n"


def test_translate_runs_the_field_map_of_the_provider(file: Path, run: Commands) -> None:
    status, out, err = run("translate", "--provider", "Local", "--model", "tiny-2", stdin=CALL)
    assert (status, err) == (0, "nothing was lost or changed\n")
    assert (json.loads(out)["model"], json.loads(out)["top_k"]) == ("tiny-2", 3)


def test_translate_needs_no_file_for_a_plain_dialect(tmp_path: Path, run: Commands) -> None:
    call = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 1}
    status, out, _ = run("translate", "--from", "openai.chat", "--to", "anthropic", "--json", stdin=call)
    assert status == 0
    assert json.loads(out)["adaptations"] == ["dropped:seed"]
    assert json.loads(out)["body"]["max_tokens"] == 8192


@pytest.mark.parametrize(
    ("args", "stdin", "status", "message"),
    [
        (["--to", "openai", "--strict"], CALL, 1, "dropped:top_k"),
        (["--to", "openai"], {"model": "m", "messages": 3}, 1, "error: messages: must be an array\n"),
        (["--to", "openai"], [], 1, "error: the request body must be a JSON object\n"),
        (["--to", "opnai"], CALL, 2, "hint:  did you mean 'openai'?\n"),
        ([], CALL, 2, "hint:  --provider NAME, or --to DIALECT\n"),
        (["--provider", "Locl"], CALL, 1, "error: there is no provider 'Locl'\nhint:  did you mean 'Local'?\n"),
        (["--provider", "Local", "--to", "anthropic"], CALL, 1, "error: Local speaks openai.chat, not anthropic\n"),
    ],
)
def test_translate_says_what_is_wrong(
    args: list[str], stdin: Any, status: int, message: str, file: Path, run: Commands
) -> None:
    actual, out, err = run("translate", *args, stdin=stdin)
    assert (actual, out) == (status, "")
    assert message in err


# show


def test_show_prints_the_field_map_as_yaml_with_the_origin_of_each_rule(file: Path, run: Commands) -> None:
    status, out, _ = run("show", "local")
    assert status == 0
    shown = yaml.safe_load(out)
    assert shown["options"] == {"top_k": True}
    assert shown["request"] == [{"id": "no-seed", "drop": "seed", "report": True}]
    assert "\n  top_k: true  # this provider\n" in out
    assert "\n  - {id: no-seed, drop: seed, report: true}  # this provider\n" in out
    assert all("  # " in line for line in out.split("\n") if line.startswith("  "))


def test_show_depends_on_the_model(file: Path, run: Commands) -> None:
    plain, reasoning = (run("show", "OpenAI", model)[1] for model in ("gpt-4o", "gpt-5-mini"))
    assert "max_completion_tokens  # preset openai" not in plain.split("\nparams:")[0]
    assert "  max_tokens_field: max_completion_tokens  # preset openai-reasoning\n" in reasoning


def test_the_schema_is_the_one_that_is_committed(run: Commands) -> None:
    from portbroker.config.schema import schema_text

    status, out, _ = run("schema")
    assert (status, out) == (0, schema_text().rstrip("\n") + "\n")
    assert json.loads(out)["title"] == "PortBroker configuration"


# the tests of a file


def with_test(file: Path, expect: Any, body: Any = CALL, path: str = "/v1/messages") -> None:
    test = {"name": "it", "request": {"path": path, "body": body}, "expect": expect}
    file.write_text(FILE + "tests:\n  - " + json.dumps(test) + "\n")


@pytest.mark.parametrize(
    "expect",
    [
        {"provider": "OpenAI", "model": "gpt-5-mini", "status": 200},
        {
            "upstream": {
                "max_completion_tokens": 10,
                "messages[0].content": "hi",
                "messages.$len": 1,
                "top_k": "$absent",
            }
        },
        {"headers": {"Authorization": "Bearer <api_key>"}, "adaptations": ["dropped:top_k"]},
    ],
)
def test_a_test_holds_with_or_without_credentials(
    expect: Any, file: Path, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_test(file, expect)
    assert run("test") == (0, "1 passed, 0 failed\n", "")
    monkeypatch.setenv("CLI_TEST_KEY", "sk-secret-of-the-test")
    assert run("test") == (0, "1 passed, 0 failed\n", "")


def test_a_test_that_fails_shows_what_differs(file: Path, run: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLI_TEST_KEY", "sk-secret-of-the-test")
    with_test(file, {"provider": "Local", "upstream": {"max_completion_tokens": 11}, "headers": {"authorization": "x"}})
    assert run("test") == (
        1,
        """\
FAIL it
  provider
    expected  "Local"
    got       "OpenAI"
  upstream.max_completion_tokens
    expected  11
    got       10
  headers.authorization
    expected  "x"
    got       "Bearer <api_key>"

0 passed, 1 failed
""",
        "",
    )


def test_a_test_can_expect_a_refusal(file: Path, run: Commands) -> None:
    refusal = {"status": 404, "error": "not_found_error"}
    with_test(file, refusal, CALL | {"model": "nobodys"})
    assert run("test")[0] == 0
    with_test(file, {"error": {"error": {"type": "invalid_request_error"}}}, CALL | {"messages": 3})
    assert run("test")[0] == 0
    with_test(file, {"status": 404}, path="/v1/nowhere")
    assert run("test")[0] == 0


def test_a_refusal_that_was_not_expected_says_why(file: Path, run: Commands) -> None:
    with_test(file, {"provider": "Local"}, CALL | {"messages": 3})
    status, out, _ = run("test")
    assert status == 1
    assert "  refused: messages: must be an array\n  provider\n" in out


def test_a_test_that_expects_what_cannot_be_is_a_fault_of_the_file(file: Path, run: Commands) -> None:
    with_test(file, {"providr": "Local"})
    status, out, err = run("test")
    assert (status, out) == (1, "")
    assert "did you mean `provider`?" in err


def test_the_outcome_of_tests_can_be_read_by_a_machine(file: Path, run: Commands) -> None:
    with_test(file, {"provider": "Local", "model": "gpt-5-mini"})
    status, out, _ = run("test", "--json")
    assert status == 1
    assert json.loads(out) == {
        "passed": 0,
        "failed": 1,
        "failures": [
            {
                "name": "it",
                "title": "",
                "reason": None,
                "differences": [{"path": "provider", "expected": "Local", "got": "OpenAI"}],
            }
        ],
    }


# translation cases


def test_cases_end_with_the_count_and_fail_by_their_exit_status(tmp_path: Path, run: Commands) -> None:
    case = {"id": "c-1", "direction": "fieldmap", "kind": "request", "input": {"$rules": [], "$body": {"a": 1}}}
    lines = [
        json.dumps(case | {"expect": {"a": 1}}),
        json.dumps(case | {"id": "c-2", "expect": {"a": 2}, "why": "it should"}),
    ]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join([*lines, "{"]))
    status, out, _ = run("test", str(path))
    assert status == 1
    assert out.startswith("FAIL c-2  fieldmap\n  it should\n  a\n    expected  2\n    got       1\n\n")
    assert f"FAIL {path}:3\n  not JSON: " in out
    assert out.endswith("\n1 passed, 2 failed\n")
    path.write_text(lines[0])
    assert run("test", str(path)) == (0, "1 passed, 0 failed\n", "")
