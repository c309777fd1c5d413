"""The words about failures as the values that calls go by, and keys whose variable is not set."""

from pathlib import Path

from portbroker.compile import compile_snapshot
from portbroker.config.load import Loaded, load_text
from portbroker.policy import Breaker, HealthCheck, Limits, Quota, Retry
from portbroker.snapshot import Snapshot

HERE = Path("/nonexistent")


def loaded(text: str, **environ: str) -> Loaded:
    return load_text(text.encode(), file="f.yaml", directory=HERE, environ=environ)


def snapshot(text: str, **environ: str) -> Snapshot:
    return compile_snapshot(loaded(text, **environ))


def test_a_file_that_says_nothing_gets_the_defaults() -> None:
    made = snapshot("providers: [{name: P, base_url: 'http://p/v1'}]")
    provider = made.providers["P"]
    assert (made.retry, provider.breaker, provider.limits, provider.health_check) == (Retry(), Breaker(), None, None)


def test_every_word_reaches_its_value() -> None:
    made = snapshot("""
retry: {attempts: 9, same_target: 2, backoff: {first: 50ms, most: 2s}, budget: {share: 0.1, least: 3},
  retry_after_cap: 20s, wait: 7s}
breaker: {failures: 7, error_rate: 0.3, least_calls: 11, window: 40s, cool_down: 3s, longest: 5m}
providers:
  - name: P
    base_url: http://p/v1
    breaker: {failures: 2}
    limits: {concurrency: 4, queue: 5, requests_per_minute: 6, tokens_per_minute: 7, per_key: {concurrency: 2}}
    health_check: {interval: 8s, timeout: 2s, path: /models}
""")
    assert made.retry == Retry(9, 2, 0.05, 2.0, 0.1, 3, 20.0, 7.0)
    provider = made.providers["P"]
    assert provider.breaker == Breaker(2, 0.3, 11, 40.0, 3.0, 300.0)  # its own word, over those of the file
    assert provider.limits == Limits(Quota(4, 5, 6, 7), Quota(2))
    assert provider.health_check == HealthCheck(8.0, 2.0, "/models")


KEYS = """
providers:
  - name: P
    base_url: http://p/v1
    provider_type: openai
    api_keys: ["{{ env.A }}", {name: b, key: "{{ env.B }}"}, "{{ env.C }}"]
    models: [m]
"""


def names(made: Snapshot) -> list[str]:
    return [key.name for key in made.target(made.providers["P"], "m").credentials]


def test_a_key_whose_variable_is_not_set_is_left_out_and_that_is_said() -> None:
    assert names(snapshot(KEYS, A="1", B="2", C="3")) == ["1", "b", "3"]
    file = loaded(KEYS, B="2", C="2")
    assert names(compile_snapshot(file)) == ["b"]  # and the same one twice is one
    (warning,) = file.warnings
    assert (warning.path, warning.line) == ("providers[0].api_keys[0]", 6)
    assert "A is not set" in warning.message


def test_without_any_key_the_provider_is_inactive_and_says_why() -> None:
    provider = snapshot(KEYS).providers["P"]
    assert not provider.active
    assert all(f"{name} is not set" in provider.reason for name in "ABC")


def test_no_key_is_shown() -> None:
    made = snapshot(KEYS, A="sk-one", B="sk-two", C="sk-three")
    assert "sk-" not in repr(made.target(made.providers["P"], "m"))
