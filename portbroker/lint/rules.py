"""Model rules, routes and tests that do less than they seem to.

The one rule: a rule that can never decide is an error and found by compiling; here are those that decide strangely.
"""

import re
from collections.abc import Iterator

from portbroker.config.load import Loaded
from portbroker.config.model import DEFAULT_ROUTES
from portbroker.config.place import Path
from portbroker.named import declared, in_use
from portbroker.resolution import ModelRule
from portbroker.snapshot import Snapshot

_REGEX_SIGNS = re.compile(r"[\^$(|\\]|\.\+")
_GLOB_STAR = re.compile(r"(?:^|[a-z0-9-])\*")
_REST = re.compile(r"[\\()|^$+{\[]|\.\*")
_CHOOSING = frozenset(("weighted", "round_robin", "least_latency", "lowest_cost", "sticky"))


def doubtful_rules(loaded: Loaded, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """What is doubtful about rules, routes, tests and what is included."""
    if "models" in loaded.config.model_fields_set:
        for rule in snapshot.models.rules:
            at = ("models", rule.number - 1)
            yield from _pattern(at, rule)
            yield from _targets(at, rule, snapshot)
            yield from _choice(at, rule, snapshot)
    yield from _routes(loaded)
    yield from _tests(loaded)
    yield from _includes(loaded)


def _pattern(at: Path, rule: ModelRule) -> Iterator[tuple[Path, str, str]]:
    text = rule.pattern.text
    if rule.pattern.regex:
        if _GLOB_STAR.search(text) and not _REST.search(text):
            yield (*at, "regex"), "in a regular expression, * repeats what stands before it", "write `match` for a glob"
    elif _REGEX_SIGNS.search(text):
        yield (*at, "match"), "a glob knows * and ? only, and this looks like a regular expression", "write `regex`"


def _targets(at: Path, rule: ModelRule, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    used = {name for name, provider in declared(snapshot).items() if in_use(provider)}
    for index, target in enumerate(rule.targets):
        if target.provider not in used:
            yield (*at, "targets", index), f"{target.provider} is switched off: no call goes here", (
                "switch it on, or take this out")  # fmt: skip
    for index, name in enumerate(rule.providers):
        if name not in used:
            yield (*at, "providers", index), f"{name} is switched off: no call goes there", (
                "switch it on, or take this out")  # fmt: skip
    if rule.tier and not any(rule.tier in p.tiers for p in declared(snapshot).values() if p.name in used):
        yield (*at, "tier"), f"no provider that is switched on has a {rule.tier}_model", "calls by this rule get a 503"


def _choice(at: Path, rule: ModelRule, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    count = _places(rule, snapshot)
    if rule.strategy in _CHOOSING and count == 1:
        yield (*at, "strategy"), f"{rule.strategy} has only one target to choose from", "add targets, or take it out"
    if rule.hedge is not None and count == 1:
        yield (*at, "hedge"), "there is no second target to start", "add targets, or take it out"
    if snapshot.retry.attempts == 1 and count > 1 and rule.strategy in (None, "priority"):
        yield at, "`retry.attempts` is 1: the later targets are never tried", "raise it to 2 at least"
    if rule.strategy == "lowest_cost":
        for index, target in enumerate(rule.targets):
            provider = declared(snapshot)[target.provider]
            priced = target.model.groups or snapshot.target(provider, target.model.text).fieldmap.facts.price
            if not priced:
                yield (*at, "targets", index), f"the price of {target.model.text} is not known: it is tried last", (
                    "give it a `price` in `catalog:`")  # fmt: skip


def _places(rule: ModelRule, snapshot: Snapshot) -> int:
    """How many targets a call by this rule can have; 0 where the name decides."""
    if rule.targets:
        return len(rule.targets)
    if rule.tier is None:
        return 0
    names = rule.providers or tuple(declared(snapshot))
    return sum(rule.tier in p.tiers and in_use(p) for name, p in declared(snapshot).items() if name in names)


def _routes(loaded: Loaded) -> Iterator[tuple[Path, str, str]]:
    usual = {route.path: route.dialect for route in DEFAULT_ROUTES}
    if "routes" not in loaded.config.model_fields_set:
        return
    for index, route in enumerate(loaded.config.routes):
        if usual.get(route.path, route.dialect) != route.dialect:
            yield ("routes", index, "dialect"), f"clients speak {usual[route.path]} at {route.path}", (
                "give the other dialect a path of its own")  # fmt: skip
        if route.path.endswith("/"):
            yield ("routes", index, "path"), "clients call paths without a / at the end", "take it out"


def _tests(loaded: Loaded) -> Iterator[tuple[Path, str, str]]:
    seen: set[str] = set()
    for index, test in enumerate(loaded.config.tests):
        if not test.expect:
            yield ("tests", index, "expect"), "nothing is expected: this test cannot fail", "name what must come of it"
        if test.name in seen:
            yield ("tests", index, "name"), "another test has this name", "say in the name what is claimed"
        seen.add(test.name)


def _includes(loaded: Loaded) -> Iterator[tuple[Path, str, str]]:
    for index, pattern in enumerate(loaded.config.include):
        begin = re.split(r"[*?\[]", pattern.removeprefix("./"))[0]
        if not any(name.startswith(begin) for name in loaded.included):
            yield ("include", index), "no file matches", "check the name; it is counted from this file"
