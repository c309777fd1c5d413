"""A difference is said in the words of those who call, and nothing is said of what they do not notice."""

from pathlib import Path

import pytest

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.diff import differences
from portbroker.snapshot import Snapshot

FILE = """\
providers:
  - name: OpenAI
    provider_type: openai
    api_key: sk-one
    small_model: gpt-4o-mini
    big_model: gpt-5.2
    priority: 1
  - name: Groq
    provider_type: groq
    api_key: sk-two
    small_model: llama-8b
    models: [llama-70b]
    priority: 2
  - {name: Spare, base_url: "http://127.0.0.1:9/v1", api_key: sk-3, is_active: false, priority: 3}
models:
  - {match: "claude-*haiku*", tier: small, providers: [OpenAI]}
  - {match: "claude-*opus*", tier: big}
  - {match: "claude-*", model: fast}
  - match: fast
    targets: [{provider: OpenAI, model: gpt-5-mini}, {provider: Groq, model: llama-70b}]
"""


def compiled(text: str) -> Snapshot:
    return compile_snapshot(load_text(text.encode(), file="f", directory=Path("/nonexistent"), environ={}))


def between(before: str, after: str) -> list[str]:
    return [str(change) for change in differences(compiled(before), compiled(after))]


def said(old: str, new: str, *, within: str = FILE) -> list[str]:
    """What is said when `old` becomes `new` in the file."""
    assert old in within
    return between(within, within.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ("gpt-4o-mini", "gpt-5-nano", ["claude-*haiku*: gpt-5-nano at OpenAI, was gpt-4o-mini"]),
        ("providers: [OpenAI]", "providers: [Groq]", ["claude-*haiku*: llama-8b at Groq, was gpt-4o-mini at OpenAI"]),
        (", providers: [OpenAI]", "",
         ["claude-*haiku*: gpt-4o-mini at OpenAI, then llama-8b at Groq, was gpt-4o-mini at OpenAI"]),
        ("{provider: OpenAI, model: gpt-5-mini}, {provider: Groq, model: llama-70b}",
         "{provider: Groq, model: llama-70b}, {provider: OpenAI, model: gpt-5-mini}",
         ["fast: order is now Groq, OpenAI"]),
        ("  - match: fast\n", "  - match: fast\n    strategy: round_robin\n", ["fast: round_robin, was priority"]),
        ("  - match: fast\n", "  - match: fast\n    timeout: 5s\n", ["fast: timeouts changed"]),
        ("  - {match: \"claude-*\", model: fast}\n", "", ["claude-*: no rule any more, was fast"]),
        ("  - {match: \"claude-*\", model: fast}\n",
         "  - {match: \"claude-*\", model: fast}\n  - {match: slow, model: fast}\n", ["slow: fast"]),
        ("models: [llama-70b]", "models: [llama-70b, llama-9]", ["llama-9: at Groq"]),
        ("models: [llama-70b]", "models: []", ["llama-70b: not served any more, was at Groq"]),
        ("is_active: false", "is_active: true", ["provider Spare is active now"]),
        ("priority: 1\n", "priority: 1\n    is_active: false\n",
         ["claude-*haiku*: nobody, was gpt-4o-mini at OpenAI", "claude-*opus*: nobody, was gpt-5.2 at OpenAI",
          "fast: llama-70b at Groq, was gpt-5-mini at OpenAI, then llama-70b at Groq",
          "provider OpenAI is inactive now: is_active is false"]),
        ("gpt-5-mini}, {provider: Groq, model: llama-70b}", "gpt-5-mini}, {provider: Groq, model: llama-8b}",
         ["fast: llama-8b at Groq, was llama-70b"]),
        ("{match: \"claude-*opus*\", tier: big}", "{match: \"claude-*opus*\", tier: small}",
         ["claude-*opus*: gpt-4o-mini at OpenAI, then llama-8b at Groq, was gpt-5.2 at OpenAI"]),
        ("{match: \"claude-*\", model: fast}", "{match: \"claude-*\", model: OpenAI/gpt-9}",
         ["claude-*: OpenAI/gpt-9, was fast"]),
        ("models:\n  - {match", "retry: {attempts: 2}\nmodels:\n  - {match", ["retry changed"]),
        ("    api_key: sk-one\n", "    api_key: sk-other\n", ["the key of OpenAI changed"]),
        ("    api_key: sk-one\n", "    api_key: sk-one\n    timeout: 5\n", ["timeouts of OpenAI changed"]),
        ("    api_key: sk-one\n", "    api_key: sk-one\n    headers: {x-team: secret}\n",
         ["headers of OpenAI changed"]),
        ("    api_key: sk-one\n", "    api_key: sk-one\n    base_url: https://eu.api.openai.com/v1\n",
         ["provider OpenAI is at https://eu.api.openai.com/v1, was https://api.openai.com/v1"]),
        ("    api_key: sk-two\n", "    api_key: sk-two\n    translation: {request: [{drop: seed}]}\n",
         ["translation rules changed for Groq"]),
        ("models:\n  - {match", "catalog: {llama-70b: {max_output_tokens: 100}}\nmodels:\n  - {match",
         ["translation rules changed for Groq/llama-70b"]),
        ("models:\n  - {match",
         "routes: [{path: /v1/messages, dialect: anthropic.messages, on_loss: error}]\nmodels:\n  - {match",
         ["route /v1/messages: on_loss is error, was report", "route /api/anthropic/v1/messages closed",
          "route /v1/chat/completions closed", "route /v1/responses closed"]),
        ("models:\n  - {match", "# a word to the reader\nmodels:\n  - {match", []),
        ("models:\n  - {match", "tests: []\nmodels:\n  - {match", []),
    ],
)  # fmt: skip
def test_a_change_is_said_in_the_words_of_callers(old: str, new: str, sentences: list[str]) -> None:
    assert said(old, new) == sentences


def test_providers_that_come_and_go_are_named() -> None:
    without = FILE[: FILE.index("  - {name: Spare")] + FILE[FILE.index("models:\n  - {match") :]
    assert between(FILE, without) == ["provider Spare removed"]
    assert between(without, FILE) == ["provider Spare added, inactive: is_active is false"]


def test_rules_that_change_places_are_noticed() -> None:
    haiku, opus = (line + "\n" for line in FILE.splitlines() if "tier:" in line)
    assert said(haiku + opus, opus + haiku) == ["the models rules are tried in another order"]


def test_the_same_rules_with_other_conditions_are_other_rules() -> None:
    longer = FILE.replace('{match: "claude-*opus*", tier: big}',
                          '{match: "claude-*opus*", when: {stream: true}, tier: big}')  # fmt: skip
    assert between(longer, longer) == []
    [now, before] = between(FILE, longer)
    assert now.startswith("claude-*opus* when ")
    assert now.endswith(": gpt-5.2 at OpenAI")
    assert before == "claude-*opus*: no rule any more, was gpt-5.2 at OpenAI"


def test_a_key_that_is_not_set_where_one_looks_hides_nothing() -> None:
    """In a pipeline no key is set, and there a difference is read."""
    keyless = FILE.replace("sk-one", '"{{ env.NOT_SET }}"').replace("sk-two", '"{{ env.NOT_SET_EITHER }}"')
    assert said("gpt-4o-mini", "gpt-5-nano", within=keyless) == [
        "claude-*haiku*: gpt-5-nano at OpenAI, was gpt-4o-mini"
    ]


def test_a_key_that_comes_activates_its_provider() -> None:
    keyless = FILE.replace("sk-one", '"{{ env.NOT_SET }}"')
    assert between(keyless, FILE) == ["provider OpenAI is active now"]
    assert between(FILE, keyless) == ["provider OpenAI is inactive now: NOT_SET is not set"]


def test_no_sentence_holds_a_secret() -> None:
    changes = differences(
        compiled(FILE), compiled(FILE.replace("api_key: sk-one", "api_key: sk-new\n    headers: {x-a: sk-h}"))
    )
    assert changes
    assert "sk-" not in " ".join(map(str, changes))


def test_a_demo_that_stands_in_is_told_and_is_no_provider_of_the_file() -> None:
    alone = "providers: [{name: OpenAI, provider_type: openai, api_key: KEY, small_model: gpt-5-mini}]\n"
    assert between(alone.replace("KEY", '"{{ env.NOT_SET }}"'), alone) == [
        "the built-in demo answers no more", "provider OpenAI is active now"
    ]  # fmt: skip


def test_weights_are_told_of_targets_that_stay() -> None:
    weighted = FILE.replace("match: fast\n", "match: fast\n    strategy: weighted\n").replace(
        "gpt-5-mini}, {", "gpt-5-mini, weight: 3}, {"
    )
    assert said("weight: 3", "weight: 5", within=weighted) == ["fast: weights changed"]
    assert said("gpt-5-mini, weight: 3", "gpt-6, weight: 4", within=weighted) == [
        "fast: gpt-6 at OpenAI, was gpt-5-mini"
    ]
