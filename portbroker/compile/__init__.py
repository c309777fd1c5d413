"""Configuration to snapshot: every reference checked, every template and field map compiled.

The one rule: all that can fail, fails here, all of it at once, with its place in the file.
"""

from collections.abc import Mapping

from portbroker.compile.faults import Faults
from portbroker.compile.keys import compile_keys
from portbroker.compile.listing import list_models
from portbroker.compile.models import compile_rules
from portbroker.compile.providers import compile_provider, compile_providers, wants_demo
from portbroker.compile.reach import check_names
from portbroker.compile.reliability import compile_retry
from portbroker.compile.routes import compile_routes
from portbroker.compile.targets import Targets
from portbroker.config.load import Loaded
from portbroker.config.model import Config, ProviderConfig
from portbroker.fieldmap.library import Library
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.select import ProviderMaps, compile_library
from portbroker.patterns import Rewrite
from portbroker.policy import Keep
from portbroker.resolution import Resolver
from portbroker.snapshot import DEMO, Snapshot


def compile_snapshot(loaded: Loaded) -> Snapshot:
    """What calls need of a configuration. Raises `ConfigError` with every reference that leads nowhere."""
    config, faults = loaded.config, Faults(loaded)
    library = _library(config, faults)
    providers = compile_providers(loaded, faults)
    rules = compile_rules(config, providers, faults)
    routes = compile_routes(config.routes, faults)
    targets = Targets(_maps(config, library, faults), compile_keys(config.providers, faults))
    listed = list_models(rules, providers, library, config.catalog)
    models = Resolver(rules, providers, targets, listed)
    if providers:
        check_names(rules, models, faults)
    faults.refuse()
    if demo := wants_demo(providers, config.providers):
        built_in = ProviderConfig(name=DEMO, provider_type="demo", models=("*",))
        providers[DEMO] = compile_provider(built_in, config.breaker)
        targets.add(DEMO, ProviderMaps(library, built_in))
        models = Resolver(rules, providers, targets, listed, demo=True)
    return Snapshot(loaded.revision, routes, providers, models, listed, targets, demo, compile_retry(config.retry),
                    Keep(config.stored_responses.keep, config.stored_responses.memory), _sources(config))  # fmt: skip


def _library(config: Config, faults: Faults) -> Library:
    try:
        return compile_library(config.translations, config.catalog)
    except RulesError as error:
        faults.add_rules((), error)
        return compile_library({}, {})  # so that the rest can be checked too


def _maps(config: Config, library: Library, faults: Faults) -> dict[str, ProviderMaps]:
    """The field maps of every provider; those with mistakes are left out and recorded."""
    maps: dict[str, ProviderMaps] = {}
    in_rules = _named_in_rules(config)
    for index, provider in enumerate(config.providers):
        own = (provider.big_model, provider.medium_model, provider.small_model, *provider.models)
        named = [model for model in (*own, *in_rules.get(provider.name, ())) if model and _is_name(model)]
        try:
            maps[provider.name] = ProviderMaps(library, provider, named)
        except RulesError as error:
            faults.add_rules(("providers", index), error)
    return maps


def _named_in_rules(config: Config) -> dict[str, list[str]]:
    """The upstream models that rules name, by provider."""
    named: dict[str, list[str]] = {}
    for rule in config.models:
        pairs = [(target.provider, target.model) for target in rule.targets]
        pairs += [(provider, rule.model) for provider in rule.providers if rule.model]
        for provider, model in pairs:
            named.setdefault(provider, []).append(model)
    return named


def _is_name(model: str) -> bool:
    return "*" not in model and not Rewrite(model).groups


def _sources(config: Config) -> tuple[object, Mapping[str, object]]:
    """What all field maps are made of, and what more those of each provider are."""
    own = {p.name: (p.provider_type, p.base_url, p.translation) for p in config.providers}
    return (config.translations, config.catalog), own
