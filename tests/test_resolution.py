"""From a requested model to its pool: conditions, rewriting, aliases, and what is said when nobody serves it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.errors import GatewayError
from portbroker.facts import Facts
from portbroker.resolution import Resolver
from portbroker.snapshot import KEPT, Pool, Snapshot
from tests.calls import asking

PROVIDERS = """\
providers:
  - {name: A, base_url: "http://a:1/v1", small_model: a-small, models: ["gpt-*"], priority: 1}
  - {name: B, base_url: "http://b:1/v1", small_model: b-small, models: ["gpt-*", long-one], priority: 2, timeout: 7}
  - {name: "Off", base_url: "http://c:1/v1", models: [off-one], is_active: false}
"""


def compiled(models: str, providers: str = PROVIDERS) -> Snapshot:
    text = f"{providers}models:\n{models}"
    return compile_snapshot(load_text(text.encode(), file="f.yaml", directory=Path("/nonexistent"), environ={}))


def found(snapshot: Snapshot, model: str, body: dict[str, Any] | None = None, **headers: str) -> list[str]:
    """The names of the targets."""
    facts = asking(model, body, {name.replace("_", "-"): value for name, value in headers.items()})
    return [target.name for target in snapshot.resolve(facts).targets]


def test_conditions_choose_between_rules_and_the_first_that_holds_wins() -> None:
    snapshot = compiled("""\
  - {match: "claude-*", when: {input_tokens: {gt: 1000}}, targets: [{provider: B, model: long-one}]}
  - match: "claude-*"
    when: {any: [{thinking: true}, {header.x-team: {glob: "res*"}}]}
    targets: [{provider: B, model: deep}]
  - {match: "claude-*", tier: small}
""")
    long = {"messages": [{"role": "user", "content": "x" * 9000}]}
    thinking = {"thinking": {"type": "enabled"}}
    for _ in range(2):  # the second time from memory
        assert found(snapshot, "claude-a", long | thinking) == ["B/long-one"]
        assert found(snapshot, "claude-a", thinking) == ["B/deep"]
        assert found(snapshot, "claude-a", x_team="research") == ["B/deep"]
        assert found(snapshot, "claude-a", x_team="sales") == ["A/a-small", "B/b-small"]
        assert found(snapshot, "claude-a") == ["A/a-small", "B/b-small"]


def test_a_name_that_only_conditions_would_take_goes_on_to_the_lists() -> None:
    snapshot = compiled("  - {match: 'gpt-*', when: {has_images: true}, targets: [{provider: B, model: eyes}]}\n")
    image = {"messages": [{"role": "user", "content": [{"type": "image"}]}]}
    assert found(snapshot, "gpt-5", image) == ["B/eyes"]
    assert found(snapshot, "gpt-5") == ["A/gpt-5", "B/gpt-5"]


def test_a_name_is_rewritten_by_what_the_pattern_took() -> None:
    snapshot = compiled("""\
  - {match: "openai/*", model: "{{ match[1] }}"}
  - {match: "b/*", model: "{{ match[1] }}", providers: [B]}
  - {regex: "(claude)-(opus|sonnet)-.*", targets: [{provider: A, model: "vendor/{{ match[2] }}-{{ match[1] }}"}]}
""")
    assert found(snapshot, "openai/gpt-5") == ["A/gpt-5", "B/gpt-5"]
    assert found(snapshot, "b/anything") == ["B/anything"]
    assert found(snapshot, "claude-opus-5") == ["A/vendor/opus-claude"]
    with pytest.raises(GatewayError, match="no rule and no provider serves the model 'unheard-of'"):
        found(snapshot, "openai/unheard-of")


def test_a_template_of_the_file_is_rendered_beside_what_the_pattern_took() -> None:
    text = PROVIDERS + 'models: [{match: "x/*", model: "{{ env.PREFIX }}-{{ match[1] }}", providers: [A]}]\n'
    environ = {"PREFIX": "p"}
    loaded = load_text(text.encode(), file="f.yaml", directory=Path("/nonexistent"), environ=environ)
    assert found(compile_snapshot(loaded), "x/y") == ["A/p-y"]


def test_an_alias_goes_through_the_other_rules_and_keeps_what_it_says_itself() -> None:
    snapshot = compiled("""\
  - {match: quick, model: fast, strategy: round_robin, timeout: 3s}
  - match: fast
    targets: [{provider: A, model: x, weight: 1}, {provider: B, model: y, weight: 2}]
    strategy: weighted
    timeout: {first_byte: 9s, total: 20s}
    fallbacks: {context_window: [long-one], content_policy: [gpt-5]}
""")
    quick, fast = (snapshot.resolve(asking(name)) for name in ("quick", "fast"))
    assert [target.name for target in quick.targets] == ["A/x", "B/y"]
    assert (quick.strategy, fast.strategy) == ("round_robin", "weighted")
    assert quick.waits == {"first_byte": 3.0, "idle": 3.0, "total": 20.0}
    assert quick.fallbacks == fast.fallbacks == {"context": ("long-one",), "refused": ("gpt-5",)}
    assert fast.weights == {"A/x": 1, "B/y": 2}


def test_a_name_can_keep_its_name_and_get_a_strategy() -> None:
    snapshot = compiled("  - {match: 'gpt-*', model: '{{ match[0] }}', strategy: least_latency}\n")
    pool = snapshot.resolve(asking("gpt-5"))
    assert [target.name for target in pool.targets] == ["A/gpt-5", "B/gpt-5"]
    assert pool.strategy == "least_latency"


def test_the_time_outs_of_a_rule_go_over_those_of_the_provider() -> None:
    snapshot = compiled("  - {match: slow, targets: [{provider: B, model: x}], timeout: {total: 1h}}\n")
    pool = snapshot.resolve(asking("slow"))
    timeouts = pool.timeouts(pool.targets[0])
    assert (timeouts.total, timeouts.first_byte, timeouts.connect) == (3600.0, 7.0, 10.0)
    plain = snapshot.resolve(asking("gpt-5"))
    assert plain.timeouts(plain.targets[1]) is plain.targets[1].provider.timeouts


def test_a_tier_can_be_that_of_some_providers() -> None:
    assert found(compiled("  - {match: tiny, tier: small, providers: [B]}\n"), "tiny") == ["B/b-small"]


def name_of(snapshot: Snapshot, model: str, body: dict[str, Any] | None = None) -> str:
    return snapshot.resolve(asking(model, body)).name


def test_a_pool_has_the_name_of_its_rules_whatever_stands_beside_them() -> None:
    rules = """\
  - {match: "claude-*", when: {stream: true}, tier: small, providers: [B]}
  - {match: "claude-*", tier: small}
  - {match: "o/*", model: "{{ match[1] }}"}
"""
    before, after = compiled(rules), compiled("  - {match: new, tier: small}\n" + rules)
    for snapshot in (before, after):
        assert name_of(snapshot, "claude-a") == name_of(snapshot, "claude-b") == "claude-*"
        assert name_of(snapshot, "claude-a", {"stream": True}) == "claude-* when {stream: true}"
        assert name_of(snapshot, "o/gpt-5") != name_of(snapshot, "o/gpt-4")
        assert name_of(snapshot, "gpt-5") == "gpt-5"


def test_a_model_that_inactive_providers_alone_serve_says_why() -> None:
    with pytest.raises(GatewayError, match="Off: is_active is false") as caught:
        found(compiled("  - {match: tiny, tier: small}\n"), "off-one")
    assert caught.value.status == 503


def test_a_caller_cannot_make_the_memory_grow() -> None:
    snapshot = compiled("  - {match: '*', model: '{{ match[0] }}', providers: [A]}\n")
    resolver: Resolver = snapshot.models
    for number in range(KEPT + 10):
        found(snapshot, f"m{number}")
    found(snapshot, "m" * 10_000)
    assert len(resolver._pools) <= KEPT
    assert "m" * 10_000 not in resolver._pools


RULES = compiled("""\
  - {match: "*-x", model: "{{ match[1] }}"}
  - {match: "a*", model: "{{ match[0] }}-x", when: {stream: true}}
  - {match: "b*", when: {thinking: true}, tier: small}
  - {match: "a?", targets: [{provider: A, model: "{{ match[0] }}"}]}
  - {regex: "c.*", model: "b{{ match[0] }}"}
""")


def pool_or_refusal(facts: Facts, name: str) -> Pool | GatewayError:
    try:
        return RULES.resolve(facts, name)
    except GatewayError as error:
        return error


@settings(deadline=None)
@given(st.text("abcx-/?*GPTOff \ud800\n", max_size=12), st.booleans(), st.booleans())
def test_any_name_gets_a_pool_or_a_clear_refusal(name: str, stream: bool, thinks: bool) -> None:
    body = {"stream": stream, "reasoning_effort": "low" if thinks else None}
    facts = asking("m", body)
    got = pool_or_refusal(facts, name)
    if isinstance(got, Pool):
        assert got.targets
        assert RULES.resolve(facts, name) is got
        assert set(got.weights) == {target.name for target in got.targets}
    else:
        assert got.status in (404, 503)
        assert len(str(got)) < 1000


def test_the_list_of_models_has_the_names_of_rules() -> None:
    snapshot = compiled("""\
  - {match: fast, model: gpt-5}
  - {match: tiny, tier: small}
  - {match: "claude-*", tier: small}
  - {match: mine, targets: [{provider: B, model: x}]}
""")
    assert [(model.id, model.owner) for model in snapshot.listed] == [
        ("fast", "A"), ("tiny", "A"), ("mine", "B"), ("long-one", "B"),
    ]  # fmt: skip
