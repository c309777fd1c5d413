"""Where requested models go under one configuration and under another.

The one rule: a rule is told from others by what it is for, its pattern and its conditions, not by where it stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from portbroker.named import declared, in_use
from portbroker.resolution import ModelRule
from portbroker.snapshot import Provider, Snapshot

Said: TypeAlias = tuple[Literal["added", "removed", "changed"], str]
_NOBODY = "nobody"
_FEW = 3
_POLICY = {"sticky": "sticky", "fallbacks": "fallbacks", "waits": "timeouts", "hedge": "hedge"}
"""What a rule says beside its targets, by the word of the file."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a requested model goes: models with their providers, in the order in which they are tried.

    Without a provider, it is asked for anew under that name. `rule` is None for a name that providers list.
    """

    places: tuple[tuple[str, str], ...]
    rule: ModelRule | None = None

    @property
    def strategy(self) -> str:
        return (self.rule and self.rule.strategy) or "priority"

    def __str__(self) -> str:
        between = ", then " if self.strategy == "priority" else ", "
        places = [self._said(*place) for place in self.places]
        if len(places) > _FEW:
            places[_FEW:] = [f"{len(places) - _FEW} more"]
        return between.join(places) or _NOBODY

    def _said(self, provider: str, model: str) -> str:
        if self.rule is None:
            return f"at {provider}"
        return f"{model} at {provider}" if provider else model


def model_changes(before: Snapshot, after: Snapshot) -> Iterator[Said]:
    """What goes elsewhere, another way, or nowhere now."""
    old, new = _ways(before), _ways(after)
    for name, way in new.items():
        if name in old:
            yield from _changes(name, old[name], way)
        else:
            yield "added", f"{name}: {way}"
    for name, way in old.items():
        if name not in new:
            yield "removed", f"{name}: {_instead(name, way, after)}, was {way}"
    if _order(old, new) != _order(new, old):
        yield "changed", "the models rules are tried in another order"
    if after.demo != before.demo:
        yield ("added", "the built-in demo answers: no provider is active") if after.demo else (
            "removed", "the built-in demo answers no more")  # fmt: skip


def _order(ways: dict[str, _Way], others: dict[str, _Way]) -> list[str]:
    """The rules that both have, as they stand in one."""
    return [name for name, way in ways.items() if way.rule and name in others and others[name].rule]


def _instead(name: str, way: _Way, after: Snapshot) -> str:
    """What becomes of a name that has no entry of its own any more."""
    if way.rule is not None and way.rule.pattern.name is None:
        return "no rule any more"
    if set("*?") & set(name):
        return "no longer listed"
    return "served otherwise" if after.models.serves(name) else "not served any more"


def _ways(snapshot: Snapshot) -> dict[str, _Way]:
    """What is served by name, in the order in which it is looked for: rules, then what providers list."""
    ways: dict[str, _Way] = {}
    used = {name: provider for name, provider in declared(snapshot).items() if in_use(provider)}
    for rule in snapshot.models.rules:
        name = rule.pattern.text + (f" when {rule.when.text}" if rule.when else "")
        ways.setdefault(name, _Way(_places(rule, used), rule))
    for model in dict.fromkeys(model for provider in used.values() for model in provider.models):
        if not any(rule.when is None and rule.pattern.match(model) for rule in snapshot.models.rules):
            lists = (p for p in used.values() if model in p.models or p.lists(model))
            ways.setdefault(model, _Way(tuple((p.name, model) for p in lists)))
    return ways


def _places(rule: ModelRule, used: Mapping[str, Provider]) -> tuple[tuple[str, str], ...]:
    if rule.targets:
        return tuple((t.provider, t.model.text) for t in rule.targets if t.provider in used)
    if rule.model is not None and not rule.providers:
        return (("", rule.model.text),)
    allowed = [p for name, p in used.items() if not rule.providers or name in rule.providers]
    if rule.model is not None:
        return tuple((p.name, rule.model.text) for p in allowed)
    return tuple((p.name, p.tiers[rule.tier]) for p in allowed if rule.tier in p.tiers) if rule.tier else ()


def _changes(name: str, old: _Way, new: _Way) -> Iterator[Said]:
    if old.places != new.places:
        yield "changed", f"{name}: {_moved(old, new)}"
    if old.strategy != new.strategy:
        yield "changed", f"{name}: {new.strategy}, was {old.strategy}"
    if old.rule and new.rule:
        yield from _policy_changes(name, old.rule, new.rule)


def _policy_changes(name: str, old: ModelRule, new: ModelRule) -> Iterator[Said]:
    were, are = _weights(old), _weights(new)
    if any(were[target] != are[target] for target in were.keys() & are.keys()):
        yield "changed", f"{name}: weights changed"
    for word, said in _POLICY.items():
        if getattr(old, word) != getattr(new, word):
            yield "changed", f"{name}: {said} changed"


def _weights(rule: ModelRule) -> dict[tuple[str, str], int]:
    return {(target.provider, target.model.text): target.weight for target in rule.targets}


def _moved(old: _Way, new: _Way) -> str:
    if not new.places or not old.places:
        return f"{new}, was {old}"
    if sorted(old.places) == sorted(new.places):
        return f"order is now {', '.join(_short(new))}"
    pairs = [(was, now) for was, now in zip(old.places, new.places, strict=False) if was != now]
    if _providers(old) == _providers(new) and all(provider for provider in _providers(new)):
        return " and ".join(f"{model} at {provider}, was {was}" for (_, was), (provider, model) in pairs)
    if len(old.places) == len(new.places) == 1 and old.places[0][1] == new.places[0][1] and old.rule and new.rule:
        return f"{new}, was at {old.places[0][0]}"
    return f"{new}, was {old}"


def _providers(way: _Way) -> list[str]:
    return [provider for provider, _ in way.places]


def _short(way: _Way) -> list[str]:
    """The places by as few words as tell them apart."""
    providers = _providers(way)
    if len(set(providers)) == len(providers):
        return providers
    return [f"{provider}/{model}" for provider, model in way.places]
