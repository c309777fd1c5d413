"""Ten worked examples of field maps, loaded as a user's file, and what each does."""

from functools import cache
from pathlib import Path

import pytest
import yaml

from portbroker.config.model import CatalogEntry, ProviderConfig, TranslationConfig
from portbroker.conversation import Json, Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.effective import FieldMap
from portbroker.fieldmap.library import Library
from portbroker.fieldmap.select import ProviderMaps, compile_library


@cache
def library() -> Library:
    document = yaml.safe_load((Path(__file__).parent / "data" / "examples.yaml").read_bytes())
    return compile_library(
        {name: TranslationConfig.model_validate(one) for name, one in document["translations"].items()},
        {glob: CatalogEntry.model_validate(one) for glob, one in document["catalog"].items()},
    )


def field_map(base_url: str, model: str, provider_type: str = "custom", translation: str | None = None) -> FieldMap:
    given = {"name": "P", "base_url": base_url, "provider_type": provider_type, "translation": translation}
    return ProviderMaps(library(), ProviderConfig.model_validate(given)).resolve(model)


def request(chosen: FieldMap, body: Json) -> tuple[Json, list[str]]:
    report = Report()
    return chosen.request(body, RuleContext(), report), [str(adaptation) for adaptation in report]


OPENAI = "https://api.openai.com/v1"


def test_one_reasoning_families_take_no_sampling() -> None:
    chosen = field_map(OPENAI, "o3-mini")
    assert chosen.name == "openai-reasoning"
    assert chosen.options.max_tokens_field == "max_completion_tokens"
    out, report = request(chosen, {"model": "o3-mini", "temperature": 1, "logit_bias": {}})
    assert (out, report) == ({"model": "o3-mini"}, ["dropped:temperature", "dropped:logit_bias"])


def test_two_tools_need_an_effort_of_none() -> None:
    chosen = field_map(OPENAI, "gpt-5.6-terra")
    assert chosen.name == "openai-54-tools"
    out, report = request(chosen, {"tools": [{}], "reasoning_effort": "high"})
    assert (out, report) == ({"tools": [{}], "reasoning_effort": "none"}, ["changed:reasoning_effort"])
    assert field_map(OPENAI, "gpt-6-astra").dialect == "openai.responses"


def test_three_mistral_has_its_own_names() -> None:
    chosen = field_map("https://api.mistral.ai/v1", "mistral-large-latest")
    assert (chosen.name, chosen.options.tool_id, chosen.options.prefill) == ("mistral", "mistral9", "prefix")
    assert request(chosen, {"seed": 1, "user": "u"}) == ({"random_seed": 1}, [])
    answer = {"choices": [{"finish_reason": "model_length"}]}
    assert chosen.response(answer, RuleContext(), Report()) == {"choices": [{"finish_reason": "length"}]}


def test_four_gemini_gets_schemas_that_it_knows() -> None:
    chosen = field_map("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-3-pro")
    assert (chosen.name, chosen.options.state) == ("gemini-compat", "gemini")
    parameters = {
        "$schema": "x",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"const": 1, "type": "integer"}},
    }
    out, report = request(chosen, {"tools": [{"function": {"parameters": parameters}}], "logit_bias": {}})
    assert out == {"tools": [{"function": {"parameters": {"properties": {"a": {"type": "integer"}}}}}]}
    assert report == ["dropped:logit_bias"]
    assert chosen.errors([{"error": {"status": "RESOURCE_EXHAUSTED"}}], 429) == ("rate_limit", None)


def test_five_deepseek_wants_its_reasoning_back() -> None:
    chosen = field_map("https://api.deepseek.com", "deepseek-chat")
    assert chosen.name == "deepseek"
    out, _ = request(chosen, {"messages": [{"role": "assistant", "tool_calls": [{}]}, {"role": "user"}]})
    assert out["messages"] == [{"role": "assistant", "tool_calls": [{}], "reasoning_content": ""}, {"role": "user"}]
    assert chosen.errors({}, 402) == ("billing", None)


@pytest.mark.parametrize(("model", "report"), [("kimi-k2.6-turbo", ["dropped:temperature"]), ("kimi-k3", [])])
def test_six_kimi_has_a_fixed_temperature(model: str, report: list[str]) -> None:
    chosen = field_map("https://api.moonshot.cn/v1", model)
    assert chosen.name == "kimi"
    assert request(chosen, {"model": model, "temperature": 0.5})[1] == report
    chunk = {"choices": [{"delta": {}, "usage": {"prompt_tokens": 1}}]}
    moved = {"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}}
    assert chosen.stream(chunk, RuleContext(), Report()) == moved


def test_seven_groq_takes_one_choice_and_no_names() -> None:
    chosen = field_map("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    out, report = request(chosen, {"messages": [{"role": "user", "name": "a"}], "n": 2, "logprobs": True})
    assert out == {"messages": [{"role": "user"}], "n": 1}
    assert report == ["dropped:messages[*].name", "dropped:logprobs", "changed:n"]
    assert chosen.stream({"x_groq": {"usage": {}}}, RuleContext(), Report()) == {"x_groq": {}, "usage": {}}


def test_eight_azure_has_the_deployment_in_its_url() -> None:
    chosen = field_map("https://res.openai.azure.com", "my-gpt", "azure")
    assert chosen.url == (
        "https://res.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    )
    assert (chosen.auth.header, chosen.auth.value) == ("api-key", "${key}")
    assert request(chosen, {"model": "my-gpt", "n": 1}) == ({"n": 1}, [])
    assert chosen.errors({"error": {"code": "content_filter"}}, 400) == ("refused", None)


def test_nine_vllm_calls_reasoning_by_its_new_name() -> None:
    chosen = field_map("http://10.0.0.1:8000/v1", "qwen", "vllm")
    assert (chosen.name, chosen.options.reasoning, chosen.options.prefill) == ("vllm", "vllm", "vllm")
    chunk = {"choices": [{"delta": {"reasoning": "hm"}}]}
    assert chosen.stream(chunk, RuleContext(), Report()) == {"choices": [{"delta": {"reasoning_content": "hm"}}]}


def test_ten_minimax_has_errors_inside_a_200() -> None:
    chosen = field_map("https://api.minimax.io/v1", "minimax-m2")
    assert chosen.options.think_tags
    assert request(chosen, {})[0] == {"reasoning_split": True}
    assert chosen.errors({"base_resp": {"status_code": 2049, "status_msg": "key"}}, 200) == ("auth", "key")
    assert chosen.errors({"base_resp": {"status_code": 0}}, 200) is None


def test_the_catalog_is_the_finest_level() -> None:
    options = field_map("https://api.anthropic.com/v1", "claude-opus-5-5", "anthropic").options
    assert (options.no_sampling, options.no_forced_tools, options.thinking_off, options.no_prefill) == (
        True,
        True,
        False,
        True,
    )
