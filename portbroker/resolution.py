"""How a requested model becomes a pool: rules, then lists, then `Provider/model`.

The one rule: the same name and the same facts give the same pool; nothing here counts, waits or remembers calls.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from portbroker.aliases import meant_model
from portbroker.config.model import Strategy
from portbroker.errors import CallError, GatewayError, Kind
from portbroker.facts import Facts
from portbroker.patterns import Pattern, Rewrite
from portbroker.policy import Hedge
from portbroker.snapshot import DEMO, KEPT, ListedModel, Pool, Provider, Target

FALLBACKS: Mapping[str, Kind] = {"context_window": "context", "content_policy": "refused"}
"""The kinds of error that the words of `fallbacks` stand for."""

_LONGEST_KEPT = 256
"""Characters of a requested model up to which its pool is remembered."""
_MOST_KEPT = 32
"""Rules for one name up to which they are remembered."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule's `when`, compiled. `sees` reads the facts that it asks for, by their words; `text` is as written."""

    holds: Callable[[Facts], bool]
    sees: Mapping[str, Callable[[Facts], Any]]
    text: str


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """One of a rule's `targets`. `model` makes the upstream model from what the pattern took."""

    provider: str
    model: Rewrite
    weight: int


@dataclass(frozen=True, slots=True, eq=False)
class ModelRule:
    """One entry of `models:`, compiled. It has one of `tier`, `targets` and `model`.

    `name` is the same after a reload.
    """

    number: int
    name: str
    pattern: Pattern
    when: Condition | None = None
    tier: str | None = None
    targets: tuple[RuleTarget, ...] = ()
    model: Rewrite | None = None
    providers: tuple[str, ...] = ()
    strategy: Strategy | None = None
    sticky: str | None = None
    fallbacks: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    hedge: Hedge | None = None

    @property
    def rewrites(self) -> bool:
        """Whether the targets depend on the name that was asked for."""
        texts = [target.model for target in self.targets] + ([self.model] if self.model is not None else [])
        return any(text.groups for text in texts)


@dataclass(frozen=True, slots=True)
class Step:
    """A look at a rule with conditions: what it saw, and whether it held."""

    rule: ModelRule
    name: str
    held: bool
    saw: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Way:
    """The rules that a name went through, the name that came out, and what the last rule's pattern took of it.

    `certain`: no condition had a say, so that the name alone decides.
    """

    rules: tuple[ModelRule, ...]
    name: str
    taken: re.Match[str] | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pool, empty where no provider can be called, and how it was found: each look at a rule with conditions."""

    pool: Pool
    way: Way
    steps: tuple[Step, ...]


_Wanted = list[tuple[Provider, str, int]]
"""Providers, active or not, with the upstream model and the weight."""


class Resolver:
    """Finds the pool for a model. `target` gives the target for a provider and an upstream model."""

    def __init__(
        self,
        rules: Sequence[ModelRule],
        providers: Mapping[str, Provider],
        target: Callable[[Provider, str], Target],
        listed: Iterable[ListedModel],
        *,
        demo: bool = False,
    ) -> None:
        self.rules = tuple(rules)
        self._providers = providers
        self._target = target
        self._listed = [model.id for model in listed]
        self._demo = demo
        self._pools: dict[str | tuple[Any, ...], Pool] = {}
        self._rules_for: dict[str, Sequence[tuple[ModelRule, re.Match[str]]]] = {}

    def resolve(self, facts: Facts, model: str) -> Pool:
        """The pool for a call that asks for `model`; see `Snapshot.resolve`."""
        pool = self._pools.get(model)
        return pool if pool is not None else self._decide(facts, model)

    def _decide(self, facts: Facts, model: str) -> Pool:
        way = self._way(facts, model)
        key = model if way.certain else (model, *(rule.number for rule in way.rules))
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pool(way)
            if not pool.targets:
                raise _nobody(model, pool)
            if len(model) <= _LONGEST_KEPT:
                self._keep(key, pool)
        return pool

    def _keep(self, key: str | tuple[Any, ...], pool: Pool) -> None:
        if len(self._pools) >= KEPT:
            self._pools.clear()  # a memory of a pure function: nothing is lost but time
        self._pools[key] = pool

    def explain(self, facts: Facts, model: str) -> Explanation:
        """How a name finds its pool. Raises `CallError` (404) for a name that nobody serves."""
        steps: list[Step] = []
        way = self._way(facts, model, steps)
        return Explanation(self._pool(way), way, tuple(steps))

    def serves(self, name: str, *, besides: ModelRule | None = None) -> bool:
        """Whether a name leads anywhere, to another rule than `besides`, to a list or to a provider."""
        others = (rule for rule in self.rules if rule is not besides)
        return any(rule.pattern.match(name) for rule in others) or bool(self._by_name(name)[0])

    def upstream_model(self, facts: Facts, model: str, provider: Provider) -> str | None:
        """A provider's word for a requested model, whether it is active or not; None when it would not be asked."""
        wanted, _ = self._wanted(self._way(facts, model))
        return next((upstream for one, upstream, _ in wanted if one is provider), None)

    # which rules

    def _way(self, facts: Facts, model: str, steps: list[Step] | None = None) -> Way:
        """Follow the rules; each is passed through once at most, so that there is an end. Looks go into `steps`."""
        way: list[ModelRule] = []
        name, certain = meant_model(model), True
        while True:
            rule, taken, sure = self._first(facts, name, way, steps)
            certain = certain and sure
            if rule is None or taken is None:
                return Way(tuple(way), name, None, certain)
            way.append(rule)
            if rule.model is not None:
                name = rule.model(taken)
            if rule.model is None or rule.providers:
                return Way(tuple(way), name, taken, certain)

    def _first(
        self, facts: Facts, name: str, passed: list[ModelRule], steps: list[Step] | None
    ) -> tuple[ModelRule | None, re.Match[str] | None, bool]:
        """The first rule that is for a name and holds, what it took, and whether no condition had a say."""
        certain = True
        for rule, taken in self._matching(name):
            if rule in passed:
                continue
            if rule.when is None:
                return rule, taken, certain
            certain = False
            held = rule.when.holds(facts)
            if steps is not None:
                saw = tuple((word, see(facts)) for word, see in rule.when.sees.items())
                steps.append(Step(rule, name, held, saw))
            if held:
                return rule, taken, certain
        return None, None, certain

    def _matching(self, name: str) -> Sequence[tuple[ModelRule, re.Match[str]]]:
        """The rules that are for a name, and what each takes of it; a call whose facts decide asks for them anew."""
        found = self._rules_for.get(name)
        if found is None:
            found = [(rule, taken) for rule in self.rules if (taken := rule.pattern.match(name)) is not None]
            if len(name) <= _LONGEST_KEPT and len(found) <= _MOST_KEPT:
                if len(self._rules_for) >= KEPT:
                    self._rules_for.clear()  # a memory of a pure function: nothing is lost but time
                self._rules_for[name] = found
        return found

    # which targets

    def _pool(self, way: Way) -> Pool:
        wanted, why = self._wanted(way)
        passed_over = tuple((p.name, p.reason) for p, _, _ in wanted if not p.active)
        targets: dict[str, tuple[Target, int]] = {}
        for provider, upstream, weight in wanted:
            if provider.active:
                target = self._target(provider, upstream)
                targets.setdefault(target.name, (target, weight))
        if not targets and self._demo:
            demo = self._target(self._providers[DEMO], DEMO)
            targets[demo.name] = (demo, 1)
        return Pool(
            name=" > ".join([rule.name for rule in way.rules] + [way.name] * _depends_on_name(way)),
            targets=tuple(target for target, _ in targets.values()),
            why=why,
            passed_over=passed_over,
            strategy=_first_given((rule.strategy for rule in way.rules), "priority"),
            sticky=_first_given((rule.sticky for rule in way.rules), "session"),
            weights={name: weight for name, (_, weight) in targets.items()},
            fallbacks={kind: names for rule in reversed(way.rules) for kind, names in rule.fallbacks.items()},
            waits={phase: wait for rule in reversed(way.rules) for phase, wait in rule.waits.items()},
            hedge=_first_given((rule.hedge for rule in way.rules), None),
        )

    def _wanted(self, way: Way) -> tuple[_Wanted, str]:
        """Who serves, active or not, and why. Raises `CallError` when nobody does."""
        passed = [_said(rule) for rule in way.rules]
        if way.taken is not None:
            rule = way.rules[-1]
            return self._by_rule(rule, way.name, way.taken), ", then ".join([*passed[:-1], _said(rule, way.name)])
        wanted, why = self._by_name(way.name)
        if not wanted:
            raise self._unknown(way.name)
        asked = [f"{way.name} is {why}"] if way.rules else [why]
        return [(provider, upstream, 1) for provider, upstream in wanted], ", then ".join([*passed, *asked])

    def _by_rule(self, rule: ModelRule, name: str, taken: re.Match[str]) -> _Wanted:
        providers = self._providers
        if rule.targets:
            return [(providers[target.provider], target.model(taken), target.weight) for target in rule.targets]
        named = [p for p in providers.values() if not rule.providers or p.name in rule.providers]
        if rule.tier is None:
            return [(provider, name, 1) for provider in named]
        return [(provider, provider.tiers[rule.tier], 1) for provider in named if rule.tier in provider.tiers]

    def _by_name(self, name: str) -> tuple[list[tuple[Provider, str]], str]:
        """The providers that list a name, else the one that it addresses."""
        providers = self._providers.values()
        if listing := [(p, name) for p in providers if p.lists(name)]:
            return listing, "listed under a provider's models"
        for provider in providers:
            if name.startswith(provider.name + "/") and len(name) > len(provider.name) + 1:
                return [(provider, name.removeprefix(provider.name + "/"))], f"addressed to {provider.name}"
        return [], ""

    def _unknown(self, model: str) -> CallError:
        message = f"no rule and no provider serves the model {_shown(model)}; {self.offer(model)}"
        return CallError(message, kind="not_found", status=404, param="model", code="model_not_found")

    def offer(self, model: str) -> str:
        """What can be asked for instead of a name that nobody serves."""
        known = [name for name in (*self._listed, *(f"{name}/" for name in self._providers)) if name != model]
        if near := get_close_matches(model[:100], known, n=3, cutoff=0.5):
            return f"did you mean {' or '.join(map(repr, near))}?"
        names = [rule.pattern.text for rule in self.rules] + self._listed
        return f"served are: {', '.join(list(dict.fromkeys(names))[:12])}" if names else "nothing is served by name"


def _first_given(values: Iterable[Any], otherwise: Any) -> Any:
    return next((value for value in values if value is not None), otherwise)


def _depends_on_name(way: Way) -> bool:
    """Whether the rules alone do not say which targets there are."""
    return not way.rules or any(rule.rewrites for rule in way.rules)


def _said(rule: ModelRule, name: str = "") -> str:
    """A rule as an explanation mentions it."""
    words = [f"models rule {rule.number}: {rule.pattern.text}"]
    if rule.when is not None:
        words.append(f"when {rule.when.text}")
    if rule.tier is not None:
        words.append(f"tier {rule.tier}")
    if rule.model is not None and name:
        words.append(f"{name} of {', '.join(rule.providers)}")
    return ", ".join(words)


def _nobody(model: str, pool: Pool) -> GatewayError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in pool.passed_over)
    return GatewayError(f"no active provider serves {_shown(model)} ({pool.why}): {reasons}", kind="api", status=503)


def _shown(model: str) -> str:
    """A model in quotes, as far as anyone wants to read it."""
    return repr(model if len(model) <= 100 else model[:100] + "…")
