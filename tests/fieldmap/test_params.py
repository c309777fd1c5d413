"""Params: the tables that dialects bring along, under the options of a target."""

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.fieldmap.params import dialect_params


def translated(dialect: str, options: Json, params: Json) -> tuple[Json, list[str]]:
    report = Report()
    out = dialect_params(dialect, Options.model_validate(options))(params, report)
    return out, [str(adaptation) for adaptation in report]


def test_options_decide_what_a_dialects_table_does() -> None:
    params = {"max_tokens": 5, "stop_sequences": ["a", "b"], "top_k": 3}
    plain = translated("openai.chat", {}, params)
    assert plain == ({"max_tokens": 5, "stop": ["a", "b"]}, ["dropped:top_k"])
    options = {"max_tokens_field": "max_completion_tokens", "stop_max": 1, "top_k": True}
    assert translated("openai.chat", options, params) == (
        {"max_completion_tokens": 5, "stop": ["a"], "top_k": 3},
        ["clamped:stop_sequences"],
    )
    assert params == {"max_tokens": 5, "stop_sequences": ["a", "b"], "top_k": 3}


def test_the_responses_api_has_its_own_name_and_least_value_of_the_limit_and_no_stop_sequences() -> None:
    params = {"max_tokens": 5, "stop_sequences": ["a"], "verbosity": "low", "seed": 0, "logit_bias": {"1": 2}}
    assert translated("openai.responses", {}, params) == (
        {"max_output_tokens": 16, "text": {"verbosity": "low"}},
        ["clamped:max_tokens", "dropped:stop_sequences", "dropped:logit_bias"],
    )
