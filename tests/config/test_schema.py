"""The JSON Schema: current, valid, fit for editors, and of one mind with the models."""

import copy
import functools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from portbroker.config import check, phrases
from portbroker.config.document import parse
from portbroker.config.explain import explain
from portbroker.config.grammar import FUNCTIONS, OPERATIONS
from portbroker.config.model import Config, ProviderConfig
from portbroker.config.place import Finding
from portbroker.config.schema import schema
from portbroker.fieldmap import functions, operations

ROOT = Path(__file__).parent.parent.parent
SCHEMA = schema()
EVERYTHING = parse((ROOT / "tests/config/good/everything.yaml").read_text()).data


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith("portbroker.schema.json")


def definitions() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Config", SCHEMA
    yield from SCHEMA["$defs"].items()


@pytest.mark.parametrize(
    ("name", "part"), list(definitions()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_editor_has_a_title_and_a_description_for_every_word(name: str, part: dict[str, Any]) -> None:
    assert part["title"]
    assert part["description"]
    for word, described in part.get("properties", {}).items():
        reference = described.get("$ref", "").removeprefix("#/$defs/")
        target = SCHEMA["$defs"].get(reference, {})
        assert described.get("description") or target.get("description") or word == "any", f"{name}.{word}"


def test_every_example_and_default_satisfies_the_schema() -> None:
    for name, part in definitions():
        for word, described in part.get("properties", {}).items():
            validator = Draft202012Validator({**described, "$defs": SCHEMA["$defs"]})
            samples = list(described.get("examples", ()))
            samples += [described["default"]] if "default" in described else []
            for sample in samples:
                assert not list(validator.iter_errors(sample)), f"{name}.{word}: {sample}"


def test_an_editor_completes_presets_operations_and_options() -> None:
    provider = SCHEMA["$defs"]["ProviderConfig"]["properties"]
    assert {"openai", "custom", "demo"} <= set(provider["provider_type"]["enum"])
    assert set(OPERATIONS) < set(SCHEMA["$defs"]["Rule"]["properties"])
    assert "max_tokens_field" in SCHEMA["$defs"]["Options"]["properties"]


def test_the_public_words_of_a_provider_are_there() -> None:
    words = "name provider_type base_url api_key big_model medium_model small_model is_active priority headers timeout"
    assert set(words.split()) <= ProviderConfig.model_fields.keys()


# Agreement. Rules, their options and conditions are apart: the models leave them to the compiler.

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, 10**9, "", "x", "5", "5s", "no", "http://a", "a\nb", [], ["x"], [1], [[]], {},
    {"x": 1}, {"name": "x"}, {"connect": 1}, [{}], [{"name": "x"}], "openai", "big", "/x", "demo", "openai.chat",
)  # fmt: skip
COMPILED = {"params", "request", "response", "stream", "options", "when"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path and path[-1] in COMPILED and path[0] != "tests":
        return
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


PLACES = [path for path in places(EVERYTHING) if path]


def changed(source: random.Random) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(EVERYTHING)
    for _ in range(source.randint(1, 3)):
        path = source.choice(PLACES)
        try:
            holder = functools.reduce(lambda inner, step: inner[step], path[:-1], data)
            action = source.randrange(3)
            if action == 0:
                del holder[path[-1]]
            elif action == 1 and isinstance(holder, dict):
                holder[source.choice(("x", "name", "path"))] = source.choice(ODD)
            else:
                holder[path[-1]] = copy.deepcopy(source.choice(ODD))
        except (LookupError, TypeError):
            continue  # an earlier change took the place away
    return data


@given(st.randoms(use_true_random=False))
def test_what_the_models_accept_the_schema_accepts_and_what_they_refuse_is_explained(source: random.Random) -> None:
    data = changed(source)
    config, findings = check.build(data)
    if config is not None:
        plain = {key: value for key, value in data.items() if value is not None}
        assert explain(plain) == []
    else:
        assert findings
        assert not [finding for finding in findings if finding.message == "is not what is expected here"]


def test_everything_is_in_the_file_that_has_everything() -> None:
    config = Config.model_validate(EVERYTHING)
    assert {operation for rule in config.translations["mine"].request for operation in rule} >= set(OPERATIONS) - {
        "move", "map",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "known", "hint"),
    [
        ("apiKey", ["api_key", "name"], "did you mean `api_key`?"),
        ("API-KEY", ["api_key", "name"], "did you mean `api_key`?"),
        ("haiku", ["small_model", "big_model"], "did you mean `small_model`?"),
        ("zzz", ["a", "b"], "known: a, b"),
    ],
)
def test_the_nearest_right_word_is_named(key: str, known: list[str], hint: str) -> None:
    assert phrases.unknown_key(key, known)[1] == hint


def test_a_key_is_sent_home() -> None:
    assert phrases.unknown_key("port", ["models"], ["server"])[1] == "it belongs in `server`"


def test_a_fault_is_told_once() -> None:
    _, findings = check.build({"providers": [{"name": "A", "headers": [], "timeout": [], "translation": 5}]})
    assert len(findings) == len({finding.path for finding in findings}) == 3
    assert all(isinstance(finding, Finding) for finding in findings)


# The grammar is that of the engine and of the presets.

PRESETS = ROOT / "portbroker" / "presets"


def test_an_editor_knows_what_the_engine_knows() -> None:
    assert set(OPERATIONS) == set(operations.OPERATIONS)
    assert set(FUNCTIONS) == set(functions.FUNCTIONS)


@pytest.mark.parametrize(
    "path", [path for path in sorted(PRESETS.rglob("*.yaml")) if path.stem != "index"], ids=lambda path: path.stem
)
def test_the_presets_are_in_the_users_grammar(path: Path) -> None:
    parsed = parse(path.read_text(encoding="utf-8"))
    assert parsed.faults == ()
    data = {key: parsed.data[key] for key in ("translations", "catalog") if key in parsed.data}
    data.setdefault("translations", {})["params"] = {"params": parsed.data.get("params", [])}
    _, findings = check.build(data, thorough=True)
    assert findings == []


def test_there_is_a_provider_type_for_every_preset() -> None:
    files = {path.stem for path in PRESETS.glob("*.yaml")} - {"catalog", "index"}
    assert files == set(SCHEMA["$defs"]["ProviderConfig"]["properties"]["provider_type"]["enum"])
