"""Selection and merging: which translation a target gets, and what it is after all that it extends."""

from typing import Any

import pytest

from portbroker.config.model import CatalogEntry, ProviderConfig, TranslationConfig
from portbroker.conversation import Json, Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.effective import FieldMap
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.select import ProviderMaps, compile_library


def maps(
    provider: Json | None = None,
    translations: Json | None = None,
    catalog: Json | None = None,
    models: tuple[str, ...] = (),
) -> ProviderMaps:
    library = compile_library(
        {name: TranslationConfig.model_validate(one) for name, one in (translations or {}).items()},
        {glob: CatalogEntry.model_validate(one) for glob, one in (catalog or {}).items()},
    )
    given = {"name": "P", "base_url": "https://example.org/v1", **(provider or {})}
    return ProviderMaps(library, ProviderConfig.model_validate(given), models)


def problems(**given: Any) -> list[str]:
    with pytest.raises(RulesError) as caught:
        maps(**given)
    return [f"{problem.path}: {problem.message} {problem.hint}" for problem in caught.value.problems]


def ids(field_map: FieldMap, hook: str = "request") -> list[Any]:
    return [rule.get("id") for rule in field_map.sources[hook]]


BASE = {"request": [{"id": "a", "drop": "a"}, {"id": "b", "drop": "b"}, {"id": "c", "drop": "c"}]}


# Choosing


def test_the_translation_named_like_the_type_is_what_is_left() -> None:
    assert maps({"provider_type": "groq"}).resolve("m").name == "groq"
    assert maps({"provider_type": "custom"}).resolve("m").name == "custom"


def test_a_vendor_is_known_by_its_host_where_the_type_says_nothing() -> None:
    assert maps({"provider_type": "custom", "base_url": "https://api.groq.com/openai/v1"}).resolve("m").name == "groq"
    assert maps({"provider_type": "openai", "base_url": "https://API.Mistral.ai/v1"}).resolve("m").name == "mistral"
    assert maps({"provider_type": "vllm", "base_url": "https://api.groq.com/openai/v1"}).resolve("m").name == "vllm"


def test_the_longest_literal_of_a_model_glob_wins() -> None:
    translations = {
        "wide": {"match": {"model": "gpt-*", "base_url": "example.org/*"}},
        "close": {"match": {"model": ["x*", "gpt-5*"]}},
        "always": {"match": {"base_url": "example.org/v1*"}},
    }
    chosen = maps(translations=translations)
    assert [chosen.resolve(model).name for model in ("gpt-5", "gpt-4", "x", "llama")] == [
        "close",
        "wide",
        "close",
        "always",
    ]


def test_after_the_model_the_longest_literal_of_the_base_url_wins() -> None:
    translations = {
        "host": {"match": {"model": "gpt-*", "base_url": "example.org/*"}},
        "path": {"match": {"model": "gpt-*", "base_url": "example.org/v1*"}},
        "elsewhere": {"match": {"model": "gpt-*", "base_url": "example.org/v2*"}},
    }
    assert maps(translations=translations).resolve("gpt-4").name == "path"


def test_a_provider_type_restricts_and_does_not_weigh() -> None:
    translations = {
        "typed": {"match": {"provider_type": ["groq", "xai"], "model": "m*"}},
        "closer": {"match": {"model": "m-*"}},
        "other": {"match": {"provider_type": "openai", "model": "m-1*"}},
    }
    assert maps({"provider_type": "groq"}, translations).resolve("m-1").name == "closer"
    assert maps({"provider_type": "groq"}, translations).resolve("m1").name == "typed"
    assert maps({"provider_type": "custom"}, translations).resolve("m1").name == "custom"


def test_the_users_translation_wins_over_ours_that_is_no_more_exact() -> None:
    translations = {"mine": {"extends": ["openai"], "match": {"model": "gpt-5*"}}}
    assert maps({"provider_type": "openai"}, translations).resolve("gpt-5").name == "mine"
    assert maps({"provider_type": "openai"}, translations).resolve("gpt-5-chat-latest").name == "openai-chat"


def test_equally_good_matches_are_a_fault() -> None:
    translations = {"one": {"match": {"model": "gpt-5*"}}, "two": {"match": {"model": "*gpt-5"}}}
    found = problems(translations=translations, models=("gpt-5", "gpt-4"))
    assert found == [": the translations one, two match 'gpt-5' equally well make one `match` more exact, or name the "
                     "translation under `translation`"]  # fmt: skip
    assert maps({"translation": "one"}, translations, models=("gpt-5",)).resolve("gpt-5").name == "one"


def test_twins_are_a_fault_whoever_uses_them() -> None:
    found = problems(translations={"one": {"match": {"model": "x*"}}, "two": {"match": {"model": "x*"}}})
    assert found == ["translations.two.match: matches exactly what one matches: nothing says which is meant "]


def test_a_named_translation_is_taken_whatever_matches() -> None:
    translations = {"mine": {"options": {"top_k": True}}, "better": {"match": {"model": "m"}}}
    field_map = maps({"translation": "mine", "provider_type": "groq"}, translations).resolve("m")
    assert (field_map.name, field_map.options.top_k, ids(field_map)) == ("mine", True, [])


def test_rules_of_a_provider_lie_over_what_it_would_get() -> None:
    own = {"options": {"vision": False}, "request": [{"id": "groq-n", "disable": True}, {"id": "mine", "drop": "x"}]}
    field_map = maps({"translation": own, "provider_type": "groq"}).resolve("m")
    assert (field_map.name, field_map.options.vision) == ("groq", False)
    assert ids(field_map) == ["groq-names", "mine"]


def test_rules_of_a_provider_that_extend_something_lie_over_that() -> None:
    own = {"extends": ["mistral"], "request": [{"id": "mine", "drop": "x"}]}
    field_map = maps({"translation": own, "provider_type": "groq"}).resolve("m")
    assert ids(field_map) == ["mis-seed", "mis-limit", "mis-extra", "mis-unknown", "mine"]


# Merging


def test_a_rule_of_the_same_id_is_replaced_in_its_place() -> None:
    over = {"extends": ["base"], "request": [{"id": "b", "drop": "x"}, {"id": "a", "disable": True}, {"drop": "new"}]}
    field_map = maps({"translation": "over"}, {"base": BASE, "over": over}).resolve("m")
    assert [rule["drop"] for rule in field_map.sources["request"]] == ["x", "c", "new"]
    report = Report()
    assert field_map.request({"a": 1, "b": 2, "x": 3, "c": 4}, RuleContext(), report) == {"a": 1, "b": 2}


def test_extends_goes_depth_first_and_each_base_counts_once() -> None:
    translations = {
        "base": {"options": {"stop_max": 1}, "request": [{"id": "r", "drop": "base"}]},
        "left": {"extends": ["base"], "options": {"stop_max": 2}, "request": [{"id": "r", "drop": "left"}]},
        "right": {"extends": ["base"], "options": {"top_k": True}},
        "both": {"extends": ["left", "right"]},
    }
    field_map = maps({"translation": "both"}, translations).resolve("m")
    assert field_map.names == ("base", "left", "right", "both")
    assert (field_map.options.stop_max, field_map.options.top_k) == (2, True)
    assert [rule["drop"] for rule in field_map.sources["request"]] == ["left"]


def test_many_bases_of_bases_are_followed_once_each() -> None:
    names = [f"t{number}" for number in range(60)]
    translations = {name: {"extends": names[max(0, at - 2) : at]} for at, name in enumerate(names)}
    assert maps({"translation": "t59"}, translations).resolve("m").names == tuple(names)


def test_a_translation_may_take_a_presets_name_and_extend_it() -> None:
    translations = {"openai": {"extends": ["openai"], "request": [{"id": "mine", "drop": "x"}]}}
    chosen = maps({"provider_type": "openai"}, translations)
    assert chosen.resolve("gpt-4o").names.count("openai") == 2
    # Ours that extend it mean the user's too, and still come after it.
    assert ids(chosen.resolve("gpt-5.2")) == ["mine", "oai-sampling"]
    assert chosen.resolve("gpt-5.2").options.stop_max == 0


def test_url_auth_and_headers_come_from_the_last_that_has_them() -> None:
    translations = {
        "base": {
            "url": "${base}/x/${model}?v=1",
            "auth": {"header": "api-key"},
            "headers": {"set": {"X-A": "1", "x-m": "${model}"}, "drop": ["B"]},
        },
        "over": {"extends": ["base"], "headers": {"set": {"x-a": "2"}}, "rules_on_passthrough": True},
    }
    field_map = maps({"translation": "over", "base_url": "https://e.org/v1/"}, translations).resolve("a/b c")
    assert field_map.url == "https://e.org/v1/x/a%2Fb%20c?v=1"
    assert (field_map.auth.header, field_map.auth.value) == ("api-key", "${key}")
    assert field_map.headers == {"x-a": "2", "x-m": "a/b c"}
    assert (field_map.drop_headers, field_map.rules_on_passthrough) == (frozenset({"b"}), True)


def test_what_is_said_of_a_model_goes_over_what_is_said_of_a_vendor() -> None:
    catalog = {
        "m-*": {"max_output_tokens": 10, "options": {"stop_max": 2}, "request": [{"id": "r", "drop": "wide"}]},
        "m-1*": {"context_window": 99, "options": {"stop_max": 3}, "request": [{"id": "r", "drop": "close"}]},
    }
    field_map = maps({"translation": {"options": {"stop_max": 1, "top_k": True}}}, {}, catalog).resolve("m-1")
    assert (field_map.options.stop_max, field_map.options.top_k) == (3, True)
    assert [rule["drop"] for rule in field_map.sources["request"]] == ["close"]
    assert (field_map.facts.context_window, field_map.facts.max_output_tokens) == (99, 10)


def test_what_the_user_writes_goes_over_our_catalog() -> None:
    ours = maps({"provider_type": "openai"}).resolve("gpt-5.1")
    assert ours.options.efforts == ("none", "low", "medium", "high")
    mine = maps({"provider_type": "openai", "translation": {"options": {"efforts": ["low"]}}}).resolve("gpt-5.1")
    assert mine.options.efforts == ("low",)
    entry = {"gpt-5.1": {"price": {"input": 9, "output": 9}}}
    price = maps({"provider_type": "openai"}, catalog=entry).resolve("gpt-5.1").facts.price
    assert price is not None
    assert price.input == 9


def test_a_known_output_limit_bounds_max_tokens_and_is_the_default() -> None:
    field_map = maps(catalog={"m": {"max_output_tokens": 100}}).resolve("m")
    report = Report()
    assert field_map.params({"max_tokens": 32000}, RuleContext(), report)["max_tokens"] == 100
    assert [str(adaptation) for adaptation in report] == ["clamped:max_tokens"]
    assert field_map.options.default_max_tokens == 100
    freed = {"params": [{"id": "model-limit", "disable": True}]}
    field_map = maps({"translation": freed}, catalog={"m": {"max_output_tokens": 100}}).resolve("m")
    assert field_map.params({"max_tokens": 32000}, RuleContext(), Report())["max_tokens"] == 32000


def test_a_field_map_shows_itself_in_the_words_of_the_file() -> None:
    shown = maps({"provider_type": "groq"}).resolve("m").show()
    assert shown["translation"] == ["groq"]
    assert shown["request"][0]["id"] == "groq-names"
    assert shown["errors"][0] == {"id": "groq-call", "when": {"error.code": "tool_use_failed"}, "class": "api"}
    assert TranslationConfig.model_validate({k: v for k, v in shown.items() if k not in ("translation", "auth")})


# Mistakes


@pytest.mark.parametrize(
    ("translations", "fault"),
    [
        ({"a": {"extends": ["grok"]}}, "a.extends[0]: unknown translation 'grok' did you mean 'groq'?"),
        ({"a": {"extends": ["b"]}, "b": {"extends": ["a"]}}, "a.extends: goes round in a circle: a -> b -> a "),
        (
            {"openai": {"extends": ["openai-reasoning"]}},
            "openai.extends: goes round in a circle: openai -> openai-reasoning -> openai ",
        ),
        ({"a": {"options": {"topk": True}}}, "a.options.topk: unknown option 'topk' did you mean 'top_k'?"),
        (
            {"a": {"options": {"reasoning": "efort"}}},
            "a.options.reasoning: Input should be 'none', 'effort', 'openrouter', 'deepseek', 'thinking_type', 'qwen' "
            "or 'vllm' known: none, effort, openrouter, deepseek, thinking_type, qwen, vllm",
        ),
        ({"a": {"url": "${bse}/x"}}, "a.url: unknown variable '${bse}' did you mean '${base}'?"),
        (
            {"a": {"auth": {"header": "x", "value": "${kee}"}}},
            "a.auth.value: unknown variable '${kee}' did you mean '${key}'?",
        ),
        (
            {"a": {"extends": ["groq"], "request": [{"id": "groq-name", "disable": True}]}},
            "a.request[0].id: unknown rule 'groq-name' did you mean 'groq-names'?",
        ),
        (
            {"a": {"extends": ["groq"], "errors": [{"id": "x", "disable": True}]}},
            "a.errors[0].id: unknown rule 'x' known: groq-call",
        ),
        (
            {"a": {"options": {"top_k": True}, "request": [{"drop": "x", "when": {"ctx.options.top_k": False}}]}},
            "a.request[0].when: can never hold: the `options` of this translation say otherwise ",
        ),
        (
            {"a": {"errors": [{"class": "api"}, {"when": {"status": 402}, "class": "billing"}]}},
            "a.errors[1]: can never be reached: an earlier rule has no `when` and always holds ",
        ),
        (
            {"a": {"errors": [{"when": {"ctx.stream": True}, "class": "api"}]}},
            "a.errors[0].when.ctx.stream: unknown context name 'ctx.stream' did you mean 'ctx.status'?",
        ),
        ({"A b": {}}, "A b: a translation's name is made of a-z, 0-9, _ and - "),
        ({"a": {"stream": [{"dorp": "x"}]}}, "a.stream[0].dorp: unknown operation 'dorp' did you mean 'drop'?"),
    ],
)
def test_a_mistake_in_a_translation_is_found_whoever_uses_it(translations: Json, fault: str) -> None:
    assert problems(translations=translations)[0] == f"translations.{fault}"


def test_more_rules_than_a_file_may_have_are_refused() -> None:
    rules = [{"drop": f"x{number}"} for number in range(501)]
    assert problems(translations={"a": {"request": rules}}) == [
        "translations: 501 rules are more than the 500 that a file may have "
    ]


def test_all_mistakes_of_a_file_are_found_at_once() -> None:
    translations = {
        "one": {"match": {"model": "x"}, "extends": ["grok"], "request": [{"dorp": "x"}], "options": {"topk": True}},
        "two": {"match": {"model": "x"}, "errors": [{"when": {"a[": 1}}]},
    }
    found = problems(translations=translations, catalog={"m": {"request": [{"drop": "["}]}})
    assert [problem.split(": ")[0] for problem in found] == [
        "translations.one.options.topk",
        "translations.one.request[0].dorp",
        "translations.two.errors[0].when.a[",
        "catalog.m.request[0].drop",
        "translations.two.match",
        "translations.one.extends[0]",
    ]


def test_a_chain_of_translations_without_end_is_refused() -> None:
    chain: Json = {"t0": {}} | {f"t{n}": {"extends": [f"t{n - 1}"]} for n in range(1, 3000)}
    assert problems(translations=chain) == [
        "translations: 3000 translations are more than the 200 that a file may have "
    ]


def test_a_mistake_in_the_catalog_is_found_at_its_place() -> None:
    assert problems(catalog={"m*": {"options": {"vison": False}}}) == [
        "catalog.m*.options.vison: unknown option 'vison' did you mean 'vision'?"
    ]


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ("grok", "translation: unknown translation 'grok' did you mean 'groq'?"),
        (
            {"match": {"model": "x"}},
            "translation.match: a provider's own translation is always taken; it has no `match` ",
        ),
        ({"extends": ["grok"]}, "translation.extends[0]: unknown translation 'grok' did you mean 'groq'?"),
        (
            {"request": [{"drop": ""}]},
            "translation.request[0].drop: bad path '': a path is text like `choices[0].message` ",
        ),
    ],
)
def test_a_mistake_in_a_providers_own_translation_is_found_at_the_provider(translation: Any, fault: str) -> None:
    assert problems(provider={"translation": translation}) == [fault]


# Errors


def test_the_first_error_rule_that_holds_gives_class_and_message() -> None:
    classify = maps({"provider_type": "minimax"}).resolve("m").errors
    assert classify({"base_resp": {"status_code": 1002, "status_msg": "slow"}}, 200) == ("rate_limit", "slow")
    assert classify({"base_resp": {"status_code": 7}}, 200) == ("api", None)
    assert classify({"base_resp": {"status_code": 0}, "choices": []}, 200) is None
    assert classify("no document", 500) is None


def test_an_error_rule_may_ask_for_the_status_and_a_list_counts_by_its_first() -> None:
    assert maps({"provider_type": "deepseek"}).resolve("m").errors({"error": {}}, 402) == ("billing", None)
    gemini = maps({"provider_type": "gemini"}).resolve("m").errors
    assert gemini([{"error": {"status": "RESOURCE_EXHAUSTED"}}], 429) == ("rate_limit", None)
    assert gemini([], 429) is None


def test_error_rules_are_laid_over_by_id() -> None:
    translations = {
        "mine": {"extends": ["groq"], "errors": [{"id": "groq-call", "when": {"status": 400}, "class": "invalid"}]}
    }
    field_map = maps({"translation": "mine"}, translations).resolve("m")
    assert field_map.errors({}, 400) == ("invalid", None)
    assert ids(field_map, "errors") == ["groq-call"]
    assert not maps().resolve("m").errors
