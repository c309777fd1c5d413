"""Presets and catalog: that every file is sound, and what comes out for models that people use."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from portbroker.config.model import ProviderConfig, ProviderType
from portbroker.conversation import Json, Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.effective import FieldMap
from portbroker.fieldmap.globs import compile_glob
from portbroker.fieldmap.library import builtin_catalog, builtin_fragments
from portbroker.fieldmap.params import dialect_table
from portbroker.fieldmap.presets import preset_names, provider_defaults, read_preset, vendor_at
from portbroker.fieldmap.select import ProviderMaps, compile_library

DIRECTORY = Path(compile_glob.__code__.co_filename).parent.parent / "presets"
LIBRARY = compile_library({}, {})


def resolve(provider_type: str, model: str, **given: Any) -> FieldMap:
    provider = ProviderConfig.model_validate({"name": "P", "provider_type": provider_type, **given})
    return ProviderMaps(LIBRARY, provider, (model,)).resolve(model)


def test_the_index_says_what_the_files_hold() -> None:
    index = read_preset("index")
    files = {path.stem for path in DIRECTORY.glob("*.yaml")} - {"index", "catalog"}
    assert set(index["hosts"]) == set(index["translations"]) == files == set(get_args(ProviderType))
    for name, translations in index["translations"].items():
        assert list(read_preset(name)["translations"]) == translations
        assert name in translations


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_compiles_and_names_every_rule(name: str) -> None:
    for fragment in builtin_fragments(name).values():
        LIBRARY.lineage(fragment)
        names = [rule.id for hook in fragment.rules.values() for rule in hook]
        assert all([*names, *(rule.id for rule in fragment.errors)]), fragment.name
        assert fragment.dialect or fragment.extends
    assert resolve(name, "some-model", base_url="https://example.org/v1").name == name


@pytest.mark.parametrize("name", sorted(set(preset_names()) - {"azure", "custom", "demo"}))
def test_a_presets_own_base_url_is_known_as_its_vendors(name: str) -> None:
    base_url = provider_defaults(name).base_url
    assert base_url is not None
    if read_preset("index")["hosts"][name]:
        assert resolve("custom", "m", base_url=base_url).name == name


def test_a_key_is_needed_where_a_vendor_asks_for_one() -> None:
    free = {name for name in preset_names() if provider_defaults(name).key != "required"}
    assert free == {"ollama", "vllm", "llamacpp", "lmstudio", "custom", "demo"}
    assert vendor_at("example.org/v1") is None


@pytest.mark.parametrize("dialect", ["anthropic.messages", "openai.chat"])
def test_every_dialect_that_is_served_brings_its_table(dialect: str) -> None:
    assert dialect_table(dialect)
    assert all(rule.id for rule in dialect_table(dialect))


def test_the_catalog_compiles_and_says_each_thing_once() -> None:
    assert len(builtin_catalog()) == len(read_preset("catalog")["catalog"])
    lines = (DIRECTORY / "catalog.yaml").read_text().splitlines()
    keys = [line.split('":')[0] for line in lines if line.startswith('  "')]
    assert len(keys) == len(set(keys)) == len(read_preset("catalog")["catalog"])
    for path in DIRECTORY.rglob("*.yaml"):
        assert isinstance(yaml.safe_load(path.read_bytes()), dict)


# What comes out

REASONING = {
    "max_tokens_field": "max_completion_tokens",
    "reasoning": "effort",
    "stop_max": 0,
    "tools_effort_none": False,
}
OLD_CLAUDE = {"thinking": "budget", "no_sampling": False, "no_prefill": False}
NEW_CLAUDE = {"thinking": "effort", "no_sampling": True, "no_prefill": True, "one_sampler": False, "structured": True}


@pytest.mark.parametrize(
    ("provider_type", "model", "options"),
    [
        ("openai", "gpt-4o", {"max_tokens_field": "max_tokens", "reasoning": "none", "documents": "file"}),
        ("openai", "gpt-4.1-mini", {"default_max_tokens": 32768, "strict_tools": True}),
        ("openai", "gpt-5-mini", {**REASONING, "efforts": ("minimal", "low", "medium", "high")}),
        ("openai", "gpt-5.1", {**REASONING, "efforts": ("none", "low", "medium", "high")}),
        ("openai", "gpt-5.2", {**REASONING, "efforts": ("none", "low", "medium", "high", "xhigh")}),
        ("openai", "gpt-5.4-mini", {**REASONING, "tools_effort_none": True, "cache": "none"}),
        ("openai", "gpt-5.6-terra", {**REASONING, "tools_effort_none": True, "cache": "openai_breakpoint"}),
        ("openai", "gpt-6-astra", {**REASONING, "cache": "openai_breakpoint", "vision": True}),
        ("openai", "o3-mini", {**REASONING, "efforts": ("low", "medium", "high"), "vision": False}),
        ("openai", "gpt-5-chat-latest", {"reasoning": "none", "max_tokens_field": "max_completion_tokens"}),
        ("openai", "gpt-4o-mini-search-preview", {"web_search": "options"}),
        ("azure", "gpt-5.1", {**REASONING, "efforts": ("none", "low", "medium", "high"), "user_field": "user"}),
        ("azure", "my-deployment", {"max_tokens_field": "max_tokens", "reasoning": "none"}),
        ("custom", "gpt-5-mini", {"max_tokens_field": "max_tokens", "reasoning": "none", "documents": "drop"}),
        ("anthropic", "claude-opus-5-5", {**NEW_CLAUDE, "thinking_off": False, "no_forced_tools": True}),
        ("anthropic", "claude-fable-5-1", {**NEW_CLAUDE, "thinking_off": False, "no_forced_tools": True}),
        ("anthropic", "claude-sonnet-5-5", {**NEW_CLAUDE, "thinking_off": False, "no_forced_tools": False}),
        ("anthropic", "claude-haiku-5-5", {**NEW_CLAUDE, "thinking_off": True, "default_max_tokens": 128000}),
        ("anthropic", "claude-opus-5", {**NEW_CLAUDE, "thinking_off": True, "mid_system": True}),
        ("anthropic", "claude-opus-4-7", NEW_CLAUDE),
        ("anthropic", "claude-opus-4-6", {"thinking": "effort", "no_sampling": False, "no_prefill": True}),
        ("anthropic", "claude-sonnet-4-5-20250929", {**OLD_CLAUDE, "one_sampler": True, "structured": True}),
        ("anthropic", "claude-sonnet-4-20250514", {**OLD_CLAUDE, "one_sampler": False, "structured": False}),
        ("anthropic", "claude-3-5-haiku-20241022", {"thinking": "none", "default_max_tokens": 8192}),
        ("anthropic", "claude-3-7-sonnet-latest", {**OLD_CLAUDE, "default_max_tokens": 64000}),
        ("gemini", "gemini-3-pro", {"state": "gemini", "efforts": ("minimal", "low", "medium", "high")}),
        ("gemini", "gemini-2.5-flash", {"efforts": ("none", "minimal", "low", "medium", "high"), "stop_max": 5}),
        ("mistral", "mistral-large-latest", {"tool_id": "mistral9", "stream_usage": False, "tool_choice_any": "any"}),
        ("perplexity", "sonar-reasoning-pro", {"think_tags": True, "merge_adjacent": True}),
        ("groq", "openai/gpt-oss-120b", {"reasoning": "effort", "vision": False}),
        ("groq", "llama-3.3-70b-versatile", {"reasoning": "none", "default_max_tokens": 32768}),
        ("openrouter", "anthropic/claude-opus-5.5", {"reasoning": "openrouter", "cache": "cache_control"}),
        ("deepseek", "deepseek-chat", {"reasoning": "deepseek", "reasoning_required_with_tools": "", "vision": False}),
        ("moonshot", "kimi-k2.6", {"reasoning": "thinking_type", "prefill": "partial"}),
        ("zai", "glm-5", {"reasoning": "thinking_type", "stop_max": 1}),
        ("qwen", "qwen3-max", {"reasoning": "qwen"}),
        ("minimax", "MiniMax-M2", {"think_tags": True}),
        ("xai", "grok-4-fast", {"stop_max": 0, "reasoning": "none"}),
        ("xai", "grok-3-mini", {"stop_max": 0, "reasoning": "effort", "efforts": ("low", "high")}),
        ("xai", "grok-4.3", {"stop_max": 0, "reasoning": "effort", "efforts": ("none", "low", "medium", "high")}),
        ("xai", "grok-2", {"stop_max": 4}),
        ("together", "meta-llama/Llama-4", {"top_k": True}),
        ("fireworks", "accounts/fireworks/models/x", {"top_k": True}),
        ("vllm", "qwen3", {"reasoning": "vllm", "prefill": "vllm", "mid_system": "user_reminder", "top_k": True}),
        ("llamacpp", "any", {"reasoning": "vllm", "mid_system": "user_reminder"}),
        ("ollama", "qwen3:8b", {"mid_system": "user_reminder", "reasoning": "none"}),
        ("lmstudio", "any", {"mid_system": "user_reminder"}),
        ("demo", "demo", {"reasoning": "none"}),
    ],
)  # fmt: skip
def test_a_model_that_people_use_gets_these_options(provider_type: str, model: str, options: Json) -> None:
    given = {"base_url": "https://proxy.example.org/v1"} if provider_type in ("azure", "custom") else {}
    effective = resolve(provider_type, model, **given).options_view
    assert {name: effective[name] for name in options} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }


def sent(provider_type: str, model: str, body: Json) -> tuple[Json, list[str]]:
    report = Report()
    out = resolve(provider_type, model).request({"model": model, **body}, RuleContext(), report)
    return {key: value for key, value in out.items() if key != "model"}, [str(adaptation) for adaptation in report]


@pytest.mark.parametrize(
    ("provider_type", "model", "body", "out", "report"),
    [
        ("openai", "gpt-5.2", {"temperature": 1, "reasoning_effort": "low"}, {"reasoning_effort": "low"},
         ["dropped:temperature"]),
        ("openai", "gpt-5.2", {"temperature": 1, "reasoning_effort": "none"}, {"temperature": 1,
         "reasoning_effort": "none"}, []),
        ("ollama", "m", {"tool_choice": "auto"}, {}, []),
        ("ollama", "m", {"tool_choice": "required"}, {}, ["dropped:tool_choice"]),
        ("zai", "glm-5", {"tool_choice": "required", "stream": True, "tools": []},
         {"tool_choice": "auto", "stream": True, "tools": [], "tool_stream": True}, ["changed:tool_choice"]),
        ("qwen", "qwen3-32b", {"enable_thinking": True, "thinking_budget": 9}, {"enable_thinking": False},
         ["changed:enable_thinking"]),
        ("qwen", "qwen3-235b-a22b", {}, {"enable_thinking": False}, []),
        ("qwen", "qwen3-235b-a22b", {"stream": True, "enable_thinking": True},
         {"stream": True, "enable_thinking": True}, []),
        ("qwen", "qwen3-max", {}, {}, []),
        ("moonshot", "kimi-k2.5", {"temperature": 1}, {}, ["dropped:temperature"]),
        ("moonshot", "kimi-k3", {"temperature": 1}, {"temperature": 1}, []),
        ("xai", "grok-4", {"presence_penalty": 1}, {}, ["dropped:presence_penalty"]),
        ("perplexity", "sonar", {"tools": [{}], "parallel_tool_calls": False}, {}, ["dropped:tools"]),
        ("lmstudio", "m", {"tool_choice": {"type": "function"}}, {"tool_choice": "required"}, ["changed:tool_choice"]),
        ("minimax", "m", {}, {"reasoning_split": True}, []),
    ],
)  # fmt: skip
def test_a_vendors_quirk_is_met(provider_type: str, model: str, body: Json, out: Json, report: list[str]) -> None:
    assert sent(provider_type, model, body) == (out, report)


@pytest.mark.parametrize(
    ("provider_type", "document", "status", "kind"),
    [
        ("azure", {"error": {"code": "content_filter"}}, 400, "refused"),
        ("azure", {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 400, "refused"),
        ("groq", {"error": {"code": "tool_use_failed", "failed_generation": "x"}}, 400, "api"),
        ("openrouter", {"error": {"code": 403, "metadata": {"reasons": ["x"]}}}, 403, "refused"),
        ("openrouter", {"error": {"code": 402}}, 200, "billing"),
        ("moonshot", {"error": {"type": "engine_overloaded_error"}}, 429, "overloaded"),
        ("zai", {"error": {"code": "1261"}}, 400, "context"),
        ("zai", {"error": {"code": "1302"}}, 429, "rate_limit"),
        ("qwen", {"error": {"code": "data_inspection_failed"}}, 400, "refused"),
        ("vllm", {"message": '"auto" tool choice requires --enable-auto-tool-choice'}, 400, "api"),
        ("llamacpp", {"error": {"type": "exceed_context_size_error", "n_ctx": 4096}}, 400, "context"),
        ("gemini", [{"error": {"status": "UNAVAILABLE"}}], 503, "overloaded"),
        ("gemini", [{"error": {"message": "API key not valid. Please pass a valid API key."}}], 400, "auth"),
    ],
)
def test_a_vendors_error_has_its_class(provider_type: str, document: Any, status: int, kind: str) -> None:
    verdict = resolve(provider_type, "m", base_url="https://proxy.example.org/v1").errors(document, status)
    assert verdict == (kind, None)


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.5-pro", "gpt-5.6-terra", "gpt-6-astra"])
def test_models_that_take_tools_only_there_are_called_on_responses(model: str) -> None:
    found = resolve("openai", model)
    assert (found.dialect, found.url, found.options.max_tokens_field) == (
        "openai.responses", None, "max_completion_tokens",
    )  # fmt: skip
    assert resolve("openai", model, base_url="https://proxy.example.org/v1").dialect == "openai.chat"
    assert resolve("openai", model, translation={"dialect": "openai.chat"}).dialect == "openai.chat"
    assert resolve("azure", model, base_url="https://r.openai.azure.com/openai/v1").dialect == "openai.responses"
    assert resolve("azure", model, base_url="https://r.openai.azure.com").dialect == "openai.chat"


def test_sampling_is_taken_where_a_model_does_not_reason_in_both_dialects() -> None:
    def kept(dialect: str, body: Json) -> bool:
        rules = resolve("openai", "gpt-5.4", translation={"dialect": dialect}).request
        return "temperature" in rules({"temperature": 1, **body}, RuleContext(), Report())

    assert kept("openai.responses", {"reasoning": {"effort": "none"}})
    assert kept("openai.chat", {"reasoning_effort": "none"})
    assert not kept("openai.responses", {"reasoning": {"effort": "low"}})
    assert not kept("openai.chat", {})


def test_azure_without_a_path_is_the_classic_api_and_with_v1_the_new_one() -> None:
    classic = resolve("azure", "gpt-5.1", base_url="https://r.openai.azure.com/")
    assert classic.url is not None
    assert classic.url.startswith("https://r.openai.azure.com/openai/deployments/gpt-5.1/chat/completions?api-version=")
    v1 = resolve("azure", "gpt-5.1", base_url="https://r.openai.azure.com/openai/v1")
    assert v1.url is None
    assert {classic.auth.header, v1.auth.header} == {"api-key"}
    assert classic.options == v1.options
