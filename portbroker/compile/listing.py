"""The list of models: the names that clients can ask for, as far as they are names and not patterns.

The one rule: what is listed can be asked for; what is known of it comes from the catalog.
"""

from collections.abc import Mapping, Sequence

from portbroker.config.model import CatalogEntry
from portbroker.fieldmap.library import Library
from portbroker.resolution import ModelRule
from portbroker.snapshot import ListedModel, Provider


def list_models(
    rules: Sequence[ModelRule],
    providers: Mapping[str, Provider],
    library: Library,
    catalog: Mapping[str, CatalogEntry],
) -> tuple[ListedModel, ...]:
    """The names of rules, then those of providers, each with who answers first."""
    owners: dict[str, tuple[str, str]] = {}
    for rule in rules:
        if (name := rule.pattern.name) and (owner := _owner(rule, providers)):
            owners.setdefault(name, owner)
    for provider in providers.values():
        for model in provider.models:
            if provider.active and not set("*?") & set(model):
                owners.setdefault(model, (provider.name, model))
    return tuple(_listing(name, owner, upstream, library, catalog) for name, (owner, upstream) in owners.items())


def _owner(rule: ModelRule, providers: Mapping[str, Provider]) -> tuple[str, str] | None:
    """The provider that a rule names first, and its model."""
    if rule.targets:
        return rule.targets[0].provider, rule.targets[0].model.text
    allowed = [p for p in providers.values() if not rule.providers or p.name in rule.providers]
    if rule.tier:
        return next(((p.name, p.tiers[rule.tier]) for p in allowed if rule.tier in p.tiers), None)
    if rule.model is None or rule.model.groups:
        return None
    model = rule.model.text
    return next(((p.name, model) for p in allowed if rule.providers or p.lists(model)), ("portbroker", model))


def _listing(
    name: str, owner: str, upstream: str, library: Library, catalog: Mapping[str, CatalogEntry]
) -> ListedModel:
    facts, _ = library.about(upstream)
    entry = catalog.get(name) or catalog.get(upstream)
    created = entry.created if entry and entry.created is not None else 0
    return ListedModel(name, owner, created, facts.context_window, facts.max_output_tokens)
