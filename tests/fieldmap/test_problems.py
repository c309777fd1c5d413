"""Mistakes in rules: each is found while compiling, at its place, with the word that was meant."""

from typing import Any

import pytest

from portbroker.config import grammar
from portbroker.fieldmap.functions import FUNCTIONS
from portbroker.fieldmap.operations import OPERATIONS
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.rules import compile_rules

OK = {"drop": "x"}


@pytest.mark.parametrize(
    ("rule", "place", "message", "hint"),
    [
        ({"dorp": "x"}, "[1].dorp", "unknown operation 'dorp'", "'drop'"),
        ({"drop": "x", "set": {"a": 1}}, "[1]", "a rule does one thing", ""),
        ({"id": "a"}, "[1]", "needs an operation", "known: move, copy"),
        ("drop", "[1]", "a rule is a mapping", ""),
        ({"drop": "a..b"}, "[1].drop", "bad path 'a..b'", ""),
        ({"drop": ["a", "b["]}, "[1].drop[1]", "bad path 'b['", ""),
        ({"drop": []}, "[1].drop", "a path or a list", ""),
        ({"move": {"from": "a"}}, "[1].move", "'to' is missing", ""),
        ({"move": {"from": "a", "too": "b"}}, "[1].move.too", "unknown key 'too'", "'to'"),
        ({"move": {"from": "a", "to": "b", "keep_existing": "yes"}}, "[1].move.keep_existing", "true or false", ""),
        ({"move": {"from": "a[*].x", "to": "b[*].y"}}, "[1].move.to", "do not pair up", ""),
        ({"set": "a"}, "[1].set", "a mapping of paths", ""),
        ({"set": {"a[": 1}}, "[1].set.a[", "bad path", ""),
        ({"clamp": {"path": "a", "min": 2, "max": 1}}, "[1].clamp", "greater than", ""),
        ({"clamp": {"path": "a"}}, "[1].clamp", "takes `min`", ""),
        ({"clamp": {"path": "a", "max": "1"}}, "[1].clamp.max", "takes a number", ""),
        ({"limit": {"path": "a", "max": "ctx.options.stopmax"}}, "[1].limit.max", "unknown option", "stop_max"),
        ({"limit": {"path": "a", "max": -1}}, "[1].limit.max", "whole number", ""),
        ({"map": {"path": "a", "values": []}}, "[1].map.values", "a mapping from old", ""),
        ({"hash": {"path": "a", "length": 0}}, "[1].hash.length", "whole number", ""),
        ({"template": {"to": "a", "text": "${ctx.modle}"}}, "[1].template.text", "unknown context name", "ctx.model"),
        ({"template": {"to": "a", "text": "${b.}"}}, "[1].template.text", "bad path", ""),
        ({"template": {"to": "a[*].x", "text": "${b[*]}"}}, "[1].template.text", "several places", ""),
        ({"keep_only": "a"}, "[1].keep_only", "a list of names", ""),
        ({"strip_keys": {"path": "a", "keys": [1]}}, "[1].strip_keys.keys", "a list of names", ""),
        ({"call": {"fn": "schema.inline"}}, "[1].call.fn", "unknown function", "'schema.inline_refs'"),
        ({"call": {"fn": "text.flatten", "args": {"sep": ""}}}, "[1].call.args", "takes `separator`", ""),
        ({"call": {"fn": "schema.gemini", "args": {"a": 1}}}, "[1].call.args", "no arguments", ""),
        ({"call": {"fn": "ids.pattern", "args": {"alphabet": "x"}}}, "[1].call.args.alphabet", "two characters", ""),
        ({"call": {"fn": "ids.pattern", "args": {"length": 0}}}, "[1].call.args.length", "from 1 to 64", ""),
        ({"call": {"fn": "ids.pattern", "args": {"size": 1}}}, "[1].call.args", "unknown argument 'size'", ""),
        ({"disable": True}, "[1]", "needs the `id`", ""),
        ({"id": "", "drop": "x"}, "[1].id", "an id is text", ""),
        ({"drop": "x", "report": "yes"}, "[1].report", "true or false", ""),
        ({"drop": "x", "when": []}, "[1].when", "is a mapping", ""),
        ({"drop": "x", "when": {"a": {"exist": True}}}, "[1].when.a.exist", "unknown condition", "'exists'"),
        ({"drop": "x", "when": {"a": {"exists": 1}}}, "[1].when.a.exists", "true or false", ""),
        ({"drop": "x", "when": {"a": {"in": 1}}}, "[1].when.a.in", "a list of values", ""),
        ({"drop": "x", "when": {"a": {"glob": []}}}, "[1].when.a.glob", "a glob", ""),
        ({"drop": "x", "when": {"a": {"type": "int"}}}, "[1].when.a.type", "one of string", ""),
        ({"drop": "x", "when": {"a": {}}}, "[1].when.a", "an empty condition", "exists"),
        ({"drop": "x", "when": {"a[": 1}}, "[1].when.a[", "bad path", ""),
        ({"drop": "x", "when": {"ctx.modle": "m"}}, "[1].when.ctx.modle", "unknown context name", "'ctx.model'"),
        ({"drop": "x", "when": {"ctx.options.topk": 1}}, "[1].when.ctx.options.topk", "unknown context", "top_k"),
        ({"drop": "x", "when": {"any": []}}, "[1].when.any", "at least one", ""),
        ({"drop": "x", "when": {"any": [{"a": {"exist": 1}}]}}, "[1].when.any[0].a.exist", "unknown condition", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_found_at_its_place(rule: Any, place: str, message: str, hint: str) -> None:
    with pytest.raises(RulesError) as caught:
        compile_rules([OK, rule])
    problem = caught.value.problems[0]
    assert problem.path == f"request{place}"
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    "when",
    [
        {"a": {"in": []}},
        {"a": {"gt": 3, "lt": 3}},
        {"a": {"exists": False, "glob": "*"}},
        {"a": {"in": ["x"], "glob": "y*"}},
        {"a": {"in": [1], "not_in": [1]}},
        {"a": {"type": "string", "gt": 1}},
        {"ctx.client": "openai.caht"},
        {"ctx.stream": "yes"},
        {"ctx.options.reasoning": "efort"},
        {"ctx.options.top_k": {"in": [1, 2]}},
        {"ctx.options.efforts": {"exists": False, "gt": 1}},
    ],
)
def test_a_condition_that_can_never_hold_is_a_mistake(when: dict[str, Any]) -> None:
    with pytest.raises(RulesError, match="can never hold"):
        compile_rules([{"when": when, "drop": "x"}])


def test_the_nearest_value_is_proposed_for_a_constant() -> None:
    with pytest.raises(RulesError, match=r"did you mean 'openai\.chat'"):
        compile_rules([{"when": {"ctx.client": "openai.caht"}, "drop": "x"}])


def test_all_mistakes_are_found_at_once() -> None:
    with pytest.raises(RulesError) as caught:
        compile_rules([{"dorp": "x"}, OK, {"drop": "["}, {"id": "a", "drop": "x"}, {"id": "a", "drop": "y"}], "stream")
    assert [problem.path for problem in caught.value.problems] == ["stream[0].dorp", "stream[2].drop", "stream[4].id"]
    assert caught.value.problems[0].where == ("stream", 0, "dorp")


def test_the_schema_of_the_file_knows_the_same_words() -> None:
    assert set(grammar.OPERATIONS) == set(OPERATIONS)
    assert set(grammar.FUNCTIONS) == set(FUNCTIONS)
    for kind in grammar.TYPES:
        assert compile_rules([{"when": {"a": {"type": kind}}, "drop": "x"}])
