"""Rules: what holds for all of them. What each operation and condition does stands in `tests/cases/fieldmap.jsonl`."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.conversation import Json, Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.functions import FUNCTIONS
from portbroker.fieldmap.paths import same
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.rules import compile_rules

FILES = Path(__file__).parent.parent / "cases"


def cases() -> list[Json]:
    text = b"\n".join((FILES / f"{name}.jsonl").read_bytes() for name in ("translation", "fieldmap"))
    lines = [line for line in text.split(b"\n") if line]
    return [case for case in map(json.loads, lines) if case["direction"] == "fieldmap"]


CASES = cases()


def run(rules: list[Json], body: Json, context: RuleContext | None = None) -> tuple[Json, list[str]]:
    report = Report()
    out = compile_rules(rules)(body, context or RuleContext(), report)
    return out, [str(adaptation) for adaptation in report]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_a_case_comes_out_the_same_when_its_context_is_known_beforehand(case: Json) -> None:
    context = case["input"].get("$ctx", {})
    known = {name: value for name, value in context.items() if name != "options"}
    known |= {f"options.{name}": value for name, value in context.get("options", {}).items()}
    rules = compile_rules(case["input"]["$rules"], known=known)
    before = copy.deepcopy(case["input"]["$body"])
    assert rules(case["input"]["$body"], RuleContext(**context), Report()) == case["expect"]
    assert case["input"]["$body"] == before


def test_a_rule_that_cannot_apply_costs_nothing() -> None:
    rules = [
        {"when": {"ctx.options.top_k": True, "a": 1}, "drop": "x"},
        {"when": {"any": [{"ctx.model": "m"}]}, "drop": "y"},
    ]
    assert not compile_rules(rules, known={"options.top_k": False, "model": "n"})
    assert compile_rules(rules, known={"options.top_k": True, "model": "n"})


def test_what_changes_nothing_gives_the_very_same_document() -> None:
    body = {"a": {"b": [1, {"c": 2}]}, "t": 0.5}
    out, report = run(
        [
            {"move": {"from": "x", "to": "y"}, "report": True},
            {"set": {"a.b[1].c": 2}, "report": True},
            {"default": {"a.b[1].c": 3}, "report": True},
            {"clamp": {"path": "t", "max": 1}, "report": True},
            {"drop": ["a.x", "a.b[7]", "a.b[?z]"], "report": True},
            {"keep_only": ["a", "t"], "report": True},
            {"strip_keys": {"path": "a", "keys": ["zz"]}, "report": True},
        ],
        body,
    )
    assert out is body
    assert report == []


def test_what_is_not_touched_is_shared_and_not_copied() -> None:
    body: Json = {"messages": [{"content": "long"}, {"content": "x"}], "tools": [{}]}
    out, _ = run([{"set": {"messages[1].content": "y"}}], body)
    assert out["tools"] is body["tools"]
    assert out["messages"][0] is body["messages"][0]
    assert body["messages"][1] == {"content": "x"}


def test_a_number_may_be_that_of_an_option() -> None:
    rules = [
        {"limit": {"path": "stop", "max": "ctx.options.stop_max"}},
        {"clamp": {"path": "n", "max": "ctx.options.stop_max"}},
    ]
    bound = compile_rules(rules, known={"options.stop_max": 2})
    assert bound({"stop": [1, 2, 3], "n": 9}, RuleContext(), Report()) == {"stop": [1, 2], "n": 2}
    unbound = compile_rules(rules)
    assert unbound({"stop": [1, 2, 3], "n": 9}, RuleContext(), Report()) == {"stop": [1, 2, 3], "n": 9}


def test_a_schema_nested_beyond_all_measure_does_not_break_the_rule() -> None:
    node: Json = {"$schema": "x"}
    for _ in range(900):
        node = {"items": node, "$schema": "x"}
    body = {"s": node, "other": [[]]}
    out, _ = run(
        [{"strip_keys": {"path": "s", "keys": ["$schema"]}}, {"call": {"fn": "schema.gemini", "path": "s"}}], body
    )
    assert "$schema" not in out["s"]


# Properties

TEXTS = st.sampled_from(
    ["", "a", "b", "text", "function", "image_url", "data:image/png;base64,YWI=", "<think>x</think>y"]
)
KEYS = st.sampled_from(
    ["a", "b", "messages", "content", "tools", "function", "parameters", "type", "text", "choices", "message", "id",
     "tool_calls", "tool_call_id", "properties", "enum", "$ref", "const", "strict", "image_url", "url", "items"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | TEXTS
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=20)
BODIES = st.dictionaries(KEYS, VALUES, max_size=6)
SELECTORS = st.sampled_from(["", "[0]", "[-1]", "[*]", "[?type]", "[?type=text]"])
PLAIN_KEYS = KEYS.filter(lambda key: not key.startswith("$"))
PATHS = st.lists(st.tuples(PLAIN_KEYS, SELECTORS).map("".join), min_size=1, max_size=3).map(".".join)
PLAIN_PATHS = st.lists(PLAIN_KEYS, min_size=1, max_size=3).map(".".join)
CONDITIONS = st.one_of(
    SCALARS, st.builds(lambda b: {"exists": b}, st.booleans()), st.builds(lambda v: {"not_in": v}, st.lists(SCALARS)),
    st.just({"gt": 0}), st.just({"glob": "*a*"}), st.just({"longer_than": 1}), st.just({"type": "object"}),
)  # fmt: skip
OPERATIONS = st.one_of(
    st.builds(lambda a, b, k: {"move": {"from": a, "to": b, "keep_existing": k}}, PATHS, PLAIN_PATHS, st.booleans()),
    st.builds(lambda a, b: {"copy": {"from": a, "to": b}}, PLAIN_PATHS, PATHS),
    st.builds(lambda p, v: {"set": {p: v}}, PATHS, VALUES),
    st.builds(lambda p, v: {"default": {p: v}}, PATHS, VALUES),
    st.builds(lambda p: {"drop": p}, PATHS),
    st.builds(lambda p: {"clamp": {"path": p, "min": -1, "max": 1}}, PATHS),
    st.builds(lambda p: {"map": {"path": p, "values": {"a": "b", "1": 2, "_else": "$drop"}}}, PATHS),
    st.builds(lambda p: {"limit": {"path": p, "max": 1}}, PATHS),
    st.builds(lambda p: {"hash": {"path": p, "longer_than": 1, "length": 8}}, PATHS),
    st.builds(lambda a, b: {"template": {"to": a, "text": "x${" + b + "}y${ctx.model}"}}, PATHS, PLAIN_PATHS),
    st.builds(lambda keys: {"keep_only": keys}, st.lists(KEYS, min_size=1)),
    st.builds(lambda p: {"strip_keys": {"path": p, "keys": ["const", "type"]}}, PATHS),
    st.builds(lambda f, p: {"call": {"fn": f, "path": p}}, st.sampled_from(sorted(FUNCTIONS)), PATHS),
    st.builds(lambda f: {"call": {"fn": f}}, st.sampled_from(sorted(FUNCTIONS))),
)
RULES = st.builds(
    lambda op, when, report: {**op, "report": report, **({"when": when} if when else {})},
    OPERATIONS, st.dictionaries(PATHS, CONDITIONS, max_size=2), st.booleans(),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(RULES, max_size=6), BODIES)
def test_rules_never_change_what_they_are_given_and_never_fail(rules: list[Json], body: Json) -> None:
    before = copy.deepcopy(body)
    written = copy.deepcopy(rules)
    try:
        compiled = compile_rules(rules)
    except RulesError:
        return  # paths that do not pair up: found while compiling, which is all that is asked
    report = Report()
    out = compiled(body, RuleContext(model="m"), report)
    assert isinstance(out, dict)
    assert body == before
    assert rules == written
    if not report and not any("report" not in rule or not rule["report"] for rule in rules):
        assert out == body


@settings(deadline=None)
@given(VALUES, VALUES)
def test_equality_is_that_of_json(a: Any, b: Any) -> None:
    if isinstance(a, (bool, str, type(None))) or isinstance(b, (bool, str, type(None))):
        assert same(a, b) == (json.dumps(a) == json.dumps(b))
    assert same(a, a)


def test_what_is_remembered_of_documents_does_not_grow_with_their_keys() -> None:
    rules, report = compile_rules([{"drop": "seed"}], "params"), Report()
    for number in range(1000):
        body = {"seed": 1, f"key{number}": 2}
        assert rules(body, RuleContext(), report) == {f"key{number}": 2}
    assert rules({"seed": 1, "k" * 2000: 2}, RuleContext(), report) == {"k" * 2000: 2}
    assert len(rules._able) <= 128
    assert all(len(key) < 2000 for keys in rules._able for key in keys)


def test_a_step_for_a_key_that_an_earlier_one_made_is_taken() -> None:
    rules = compile_rules([{"move": {"from": "a", "to": "b"}}, {"move": {"from": "b", "to": "c"}}])
    for _ in range(2):
        assert rules({"a": 1}, RuleContext(), Report()) == {"c": 1}
