"""The targets that a configuration names, and where their connections go.

The one rule: what only a client's model name brings about is not here; a stand-in shows where it would go.
"""

from collections.abc import Iterator

from portbroker.origin import Origin
from portbroker.snapshot import Provider, Snapshot, Target

STAND_IN = "*"
"""Stands for the models of a provider that the file does not name."""


def named_targets(snapshot: Snapshot) -> dict[str, Target]:
    """The targets of every active provider by their names, and one for the models that are not named."""
    targets = (
        snapshot.target(provider, model)
        for provider in snapshot.providers.values()
        if provider.active
        for model in dict.fromkeys(_models(provider))
    )
    found = {target.name: target for target in targets}
    for name, model in _in_rules(snapshot):
        if (provider := snapshot.providers[name]).active:
            target = snapshot.target(provider, model)
            found[target.name] = target
    return found


def origins(snapshot: Snapshot) -> frozenset[Origin]:
    """Where connections of this configuration go."""
    return frozenset(target.origin for target in named_targets(snapshot).values())


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
