"""The targets that a configuration names, and where their connections go.

The one rule: what only a client's model name brings about is not here; a stand-in shows where it would go.
"""

from collections.abc import Iterator

from portbroker.config.load import SWITCHED_OFF
from portbroker.origin import Origin
from portbroker.snapshot import DEMO, Provider, Snapshot, Target

STAND_IN = "*"
"""Stands for the models of a provider that the file does not name."""


def declared(snapshot: Snapshot) -> dict[str, Provider]:
    """The providers that the file declares: without the built-in one that stands in for them."""
    return {name: p for name, p in snapshot.providers.items() if not (snapshot.demo and name == DEMO)}


def in_use(provider: Provider) -> bool:
    """Whether calls are meant to go there: it is not switched off, though it may lack its key where we look."""
    return provider.reason != SWITCHED_OFF


def named_targets(snapshot: Snapshot) -> dict[str, Target]:
    """The targets of every provider in use by their names, and one for the models that are not named."""
    named = [(provider.name, model) for provider in snapshot.providers.values() for model in _models(provider)]
    found = dict.fromkeys((*named, *_in_rules(snapshot)))
    providers = snapshot.providers
    targets = (snapshot.target(providers[name], model) for name, model in found if in_use(providers[name]))
    return {target.name: target for target in targets}


def origins(snapshot: Snapshot) -> frozenset[Origin]:
    """Where connections of this configuration go."""
    return frozenset(
        snapshot.target(provider, model).origin
        for provider in snapshot.providers.values()
        if provider.active
        for model in (STAND_IN, *provider.tiers.values())
    )


def moved(before: Snapshot, after: Snapshot) -> list[str]:
    """The providers that are elsewhere now."""
    return [name for name, p in after.providers.items()
            if (old := before.providers.get(name)) and old.base_url != p.base_url]  # fmt: skip


def _models(provider: Provider) -> Iterator[str]:
    yield from provider.tiers.values()
    yield from provider.models
    yield STAND_IN


def _in_rules(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Providers and their models, as rules name them."""
    for rule in snapshot.models.rules:
        for target in rule.targets:
            if not target.model.groups:
                yield target.provider, target.model.text
        if rule.model is not None and not rule.model.groups:
            for name in rule.providers:
                yield name, rule.model.text
