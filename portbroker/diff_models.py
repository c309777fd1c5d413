"""Where requested models go under one configuration and under another.

The one rule: a rule is told from others by what it is for, its pattern and its conditions, not by where it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from portbroker.resolution import ModelRule
from portbroker.snapshot import Snapshot

Said: TypeAlias = tuple[Literal["added", "removed", "changed"], str]
_NOBODY = "nobody"


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
        return (
            between.join(f"{model} at {provider}" if provider else model for provider, model in self.places) or _NOBODY
        )


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
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield "changed", "the models rules are tried in another order"
    if after.demo != before.demo:
        yield ("added", "the built-in demo answers: no provider is active") if after.demo else (
            "removed", "the built-in demo answers no more")  # fmt: skip


def _instead(name: str, way: _Way, after: Snapshot) -> str:
    """What becomes of a name that has no entry of its own any more."""
    if way.rule is not None and way.rule.pattern.name is None:
        return "no rule any more"
    if "*" not in name and after.models.serves(name):
        return "another rule decides"
    return "not served any more"


def _ways(snapshot: Snapshot) -> dict[str, _Way]:
    """What is served by name, in the order in which it is looked for: rules, then what providers list."""
    ways: dict[str, _Way] = {}
    for rule in snapshot.models.rules:
        name = rule.pattern.text + (f" when {rule.when.text}" if rule.when else "")
        ways.setdefault(name, _Way(_places(rule, snapshot), rule))
    listed = dict.fromkeys(m for p in snapshot.providers.values() if p.active for m in p.models)
    for model in listed:
        if not any(rule.when is None and rule.pattern.match(model) for rule in snapshot.models.rules):
            lists = (p for p in snapshot.providers.values() if p.active and (model in p.models or p.lists(model)))
            ways.setdefault(model, _Way(tuple((p.name, model) for p in lists)))
    return ways


def _places(rule: ModelRule, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    active = {p.name: p for p in snapshot.providers.values() if p.active}
    if rule.targets:
        return tuple((t.provider, t.model.text) for t in rule.targets if t.provider in active)
    if rule.model is not None and not rule.providers:
        return (("", rule.model.text),)
    allowed = [p for name, p in active.items() if not rule.providers or name in rule.providers]
    if rule.model is not None:
        return tuple((p.name, rule.model.text) for p in allowed)
    return tuple((p.name, p.tiers[rule.tier]) for p in allowed if rule.tier in p.tiers) if rule.tier else ()


def _changes(name: str, old: _Way, new: _Way) -> Iterator[Said]:
    if old.places != new.places:
        yield "changed", f"{name}: {_moved(old, new)}"
    if old.strategy != new.strategy:
        yield "changed", f"{name}: {new.strategy}, was {old.strategy}"
    for word in ("weights", "sticky", "fallbacks", "waits", "hedge"):
        if _policy(old.rule, word) != _policy(new.rule, word):
            yield "changed", f"{name}: {'timeouts' if word == 'waits' else word} changed"


def _policy(rule: ModelRule | None, word: str) -> object:
    if rule is None:
        return None
    if word == "weights":  # of the targets that stay: the others are said already
        return {(t.provider, t.model.text): t.weight for t in rule.targets}
    return getattr(rule, word)


def _moved(old: _Way, new: _Way) -> str:
    if not new.places or not old.places:
        return f"{new}, was {old}"
    if sorted(old.places) == sorted(new.places):
        return f"order is now {', '.join(_short(new))}"
    if len(old.places) == len(new.places) == 1:
        (was_at, was), (at, _) = old.places[0], new.places[0]
        if was_at == at:
            return f"{new}, was {was}"
        if was == new.places[0][1] and was_at and at:
            return f"{new}, was at {was_at}"
    return f"{new}, was {old}"


def _short(way: _Way) -> list[str]:
    """The places by as few words as tell them apart."""
    providers = [provider for provider, _ in way.places]
    if len(set(providers)) == len(providers):
        return providers
    return [f"{provider}/{model}" for provider, model in way.places]
