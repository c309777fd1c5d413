"""Configuration to snapshot: every reference checked, every template and field map compiled.

The one rule: all that can fail, fails here, all of it at once, with its place in the file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from urllib.parse import quote, urlsplit

from portbroker.config.load import SWITCHED_OFF, Loaded
from portbroker.config.model import CatalogEntry, ModelConfig, ProviderConfig
from portbroker.dialects.registry import DIALECTS
from portbroker.errors import ConfigError, Problem
from portbroker.fieldmap.effective import FieldMap
from portbroker.fieldmap.globs import compile_glob
from portbroker.fieldmap.library import Library
from portbroker.fieldmap.presets import provider_defaults
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.select import ProviderMaps, compile_library
from portbroker.headers import fixed_headers
from portbroker.origin import Origin, Timeouts
from portbroker.snapshot import (
    DEMO,
    POOLS_KEPT,
    TIERS,
    ListedModel,
    ModelRule,
    Provider,
    Route,
    Snapshot,
    Target,
)  # fmt: skip

_RESERVED = frozenset({"/", "/health", "/v1/models", "/v1/messages/count_tokens"})
"""Paths that PortBroker answers itself."""


def compile_snapshot(loaded: Loaded) -> Snapshot:
    """What calls need of a configuration. Raises `ConfigError` with every reference that leads nowhere."""
    return _Compiler(loaded).compile()


class _Compiler:
    """One compilation: the problems found so far, and what is finished."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._problems: list[Problem] = []

    def compile(self) -> Snapshot:
        library = self._library()
        providers = self._providers()
        rules = self._rules(providers)
        routes = self._routes()
        targets = Targets(self._maps(library), self._keys())
        if self._problems:
            raise ConfigError(sorted(self._problems, key=lambda p: (p.line, p.column)))
        demo = _wants_demo(providers, self._config.providers)
        if demo:
            config = ProviderConfig(name=DEMO, provider_type="demo", models=("*",))
            providers[DEMO] = self._provider(0, config)
            targets.add(DEMO, ProviderMaps(library, config))
        listed = _listed(rules, providers, library, self._config.catalog)
        return Snapshot(self._loaded.revision, routes, providers, rules, listed, targets, demo)

    # field maps

    def _library(self) -> Library:
        try:
            return compile_library(self._config.translations, self._config.catalog)
        except RulesError as error:
            self._faults((), error)
            return compile_library({}, {})  # so that the rest can be checked too

    def _maps(self, library: Library) -> dict[str, ProviderMaps]:
        """The field maps of every provider; those with mistakes are left out and recorded."""
        maps: dict[str, ProviderMaps] = {}
        for index, provider in enumerate(self._config.providers):
            try:
                maps[provider.name] = ProviderMaps(library, provider, self._named_models(provider))
            except RulesError as error:
                self._faults(("providers", index), error)
        return maps

    def _named_models(self, provider: ProviderConfig) -> list[str]:
        """The upstream models that the file names for a provider."""
        named = [provider.big_model, provider.medium_model, provider.small_model, *provider.models]
        named += [t.model for rule in self._config.models for t in rule.targets if t.provider == provider.name]
        return [model for model in named if model and "*" not in model]

    def _faults(self, at: tuple[str | int, ...], error: RulesError) -> None:
        for problem in error.problems:
            self._fault((*at, *problem.where), problem.message, problem.hint)

    def _keys(self) -> dict[str, str]:
        return {p.name: p.api_key.get_secret_value() for p in self._config.providers if p.api_key is not None}

    def _fault(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        self._problems.append(self._loaded.problem(path, message, hint))

    # routes

    def _routes(self) -> dict[str, Route]:
        routes: dict[str, Route] = {}
        for index, route in enumerate(self._config.routes):
            at = ("routes", index, "path")
            if route.path in routes:
                self._fault(at, f"the path {route.path} is declared twice", "each path has one route")
            elif route.path in _RESERVED:
                self._fault(at, f"{route.path} is answered by PortBroker itself", "choose another path")
            elif route.dialect not in DIALECTS:
                known = ", ".join(sorted(DIALECTS))
                self._fault(("routes", index, "dialect"), f"{route.dialect} is not served yet", f"served are {known}")
            else:
                routes[route.path] = Route(route.path, DIALECTS[route.dialect], route.on_loss)
        return routes

    # models

    def _rules(self, providers: Mapping[str, Provider]) -> tuple[ModelRule, ...]:
        rules = []
        declared = "models" in self._config.model_fields_set
        tiers = {tier for provider in providers.values() for tier in provider.tiers}
        for index, rule in enumerate(self._config.models):
            at = ("models", index)
            if declared:
                self._check_rule(at, rule, providers)
                self._check_reach(index)
            elif rule.tier not in tiers:
                continue  # a default: it would take names from whoever lists them, and serve none
            targets = tuple((t.provider, t.model) for t in rule.targets)
            rules.append(ModelRule(rule.match, compile_glob(rule.match), rule.tier, targets))
        return tuple(rules)

    def _check_rule(self, at: tuple[str | int, ...], rule: ModelConfig, providers: Mapping[str, Provider]) -> None:
        if bool(rule.tier) == bool(rule.targets):
            self._fault(
                at, "a rule needs either `tier` or `targets`", "tier: big | medium | small, or a list of targets"
            )
        if rule.tier and providers and not any(rule.tier in p.tiers for p in providers.values()):
            self._fault((*at, "tier"), f"no provider has a model for the tier {rule.tier}",
                        f"give a provider a {rule.tier}_model")  # fmt: skip
        for index, target in enumerate(rule.targets):
            if target.provider not in providers:
                self._fault((*at, "targets", index, "provider"), f"no provider is called {target.provider!r}",
                            _nearest(target.provider, providers))  # fmt: skip

    def _check_reach(self, index: int) -> None:
        """A rule that an earlier one always comes before can never match: a mistake in the order."""
        match = self._config.models[index].match
        for number, earlier in enumerate(self._config.models[:index], 1):
            if _covers(earlier.match, match):
                self._fault(("models", index, "match"), f"this rule can never match: rule {number} ({earlier.match}) "
                            "takes all of its models first", "put the narrower rule first")  # fmt: skip
                return

    # providers

    def _providers(self) -> dict[str, Provider]:
        providers: dict[str, Provider] = {}
        for index, config in sorted(enumerate(self._config.providers), key=lambda pair: pair[1].priority):
            if config.name in providers:
                self._fault(("providers", index, "name"), f"a provider is already called {config.name!r}",
                            "names are how rules, logs and clients tell providers apart")  # fmt: skip
            else:
                providers[config.name] = self._provider(index, config)
        return providers

    def _provider(self, index: int, config: ProviderConfig) -> Provider:
        proposed = provider_defaults(config.provider_type)
        tiers = {tier: getattr(config, f"{tier}_model") or getattr(proposed.models, tier) for tier in TIERS}
        reason = self._loaded.inactive.get(config.name, "")
        if not reason and config.api_key is None and proposed.key == "required" and not config.pass_client_credentials:
            reason = "it has no api_key"
        return Provider(
            name=config.name,
            provider_type=config.provider_type,
            base_url=self._base_url(index, config),
            priority=config.priority,
            active=config.is_active and not reason,
            reason=reason,
            timeouts=Timeouts(**config.timeout.model_dump()),
            on_loss=config.on_loss or "report",
            tiers={tier: model for tier, model in tiers.items() if model},
            headers=config.headers,
            models=config.models,
            lists=compile_glob(config.models),
            pass_client_credentials=config.pass_client_credentials,
        )

    def _base_url(self, index: int, config: ProviderConfig) -> str:
        """Where the provider is, checked to be a place that requests can go to."""
        at = ("providers", index, "base_url")
        url = (config.base_url or provider_defaults(config.provider_type).base_url or "").rstrip("/")
        if not url:
            self._fault(("providers", index), f"{config.provider_type} has no base_url of its own",
                        "add `base_url: https://…`")  # fmt: skip
        elif config.base_url and (fault := _url_fault(url)):
            self._fault(at, *fault)
        return url


def _url_fault(url: str) -> tuple[str, str] | None:
    """What is wrong with a base URL, and what to do."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{error}", "write it as https://host[:port]/path"
    if not host:
        return "the URL has no host", "write it as https://host[:port]/path"
    if parts.username or parts.password:
        return "the URL holds a credential", "put it into api_key"
    if parts.query or parts.fragment:
        return "a base URL has no query and no fragment", "a translation's `url` can have a query"
    return None


class Targets:
    """Makes the target of a provider and an upstream model, the same one each time."""

    def __init__(self, maps: dict[str, ProviderMaps], keys: Mapping[str, str]) -> None:
        self._maps = maps
        self._keys = keys
        self._made: dict[tuple[str, str], Target] = {}

    def add(self, name: str, maps: ProviderMaps) -> None:
        """The built-in provider's field maps."""
        self._maps[name] = maps

    def __call__(self, provider: Provider, model: str) -> Target:
        target = self._made.get((provider.name, model))
        if target is None:
            if len(self._made) >= POOLS_KEPT:
                self._made.clear()  # a memory of a pure function: nothing is lost but time
            target = self._made[provider.name, model] = self._make(provider, model)
        return target

    def _make(self, provider: Provider, model: str) -> Target:
        fieldmap = self._maps[provider.name].resolve(model)
        dialect = DIALECTS[fieldmap.dialect]
        origin, path = _address(fieldmap.url or provider.base_url + dialect.path)
        key = self._keys.get(provider.name, "")
        return Target(
            provider=provider,
            model=model,
            dialect=dialect,
            fieldmap=fieldmap,
            origin=origin,
            path=path,
            headers=_headers(fieldmap, provider, key),
            secrets=(key,) if key else (),
            origin_hash=hashlib.sha256(f"{provider.name}\0{model}".encode()).hexdigest()[:16],
        )


def _headers(fieldmap: FieldMap, provider: Provider, key: str) -> dict[str, str]:
    """The fixed headers of a target: ours, the field map's, the provider's own, and the credential."""
    own = {name.lower(): value for name, value in {**fieldmap.headers, **provider.headers}.items()}
    auth = {fieldmap.auth.header: fieldmap.auth.value} if key and not provider.pass_client_credentials else {}
    filled = {name: value.replace("${key}", key) for name, value in auth.items()}
    own = {name: value.replace("${key}", key) for name, value in own.items()}
    return fixed_headers(fieldmap.dialect, filled, own, fieldmap.drop_headers)


def _address(url: str) -> tuple[Origin, str]:
    """A URL as the origin that connections go to, and the path and query that requests name."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    return Origin(parts.scheme, parts.hostname or "", port), f"{path}?{parts.query}" if parts.query else path


def _wants_demo(providers: Mapping[str, Provider], declared: Sequence[ProviderConfig]) -> bool:
    """Whether the built-in provider answers: nobody else can, and nobody has been switched off on purpose."""
    if any(p.active for p in providers.values()) or DEMO in providers:
        return False
    return not declared or any(p.reason and p.reason != SWITCHED_OFF for p in providers.values())


def _listed(
    rules: Sequence[ModelRule], providers: Mapping[str, Provider], library: Library, catalog: Mapping[str, CatalogEntry]
) -> tuple[ListedModel, ...]:
    """The names that clients can ask for, as far as they are names and not globs."""
    owners: dict[str, tuple[str, str]] = {}
    for rule in rules:
        if _is_name(rule.pattern) and rule.targets:
            owners.setdefault(rule.pattern, rule.targets[0])
    for provider in providers.values():
        for model in provider.models:
            if provider.active and _is_name(model):
                owners.setdefault(model, (provider.name, model))
    return tuple(_listing(name, owner, upstream, library, catalog) for name, (owner, upstream) in owners.items())


def _listing(
    name: str, owner: str, upstream: str, library: Library, catalog: Mapping[str, CatalogEntry]
) -> ListedModel:
    facts, _ = library.about(upstream)
    entry = catalog.get(name) or catalog.get(upstream)
    created = entry.created if entry and entry.created is not None else 0
    return ListedModel(name, owner, created, facts.context_window, facts.max_output_tokens)


def _is_name(pattern: str) -> bool:
    return not set("*?") & set(pattern)


def _covers(earlier: str, later: str) -> bool:
    """Whether every text that `later` matches is matched by `earlier`, both globs; false when that is not certain."""
    return "?" not in earlier and compile_glob(earlier)(later.replace("*", "\ue000").replace("?", "\ue001"))


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"providers are: {', '.join(known) or 'none'}"
