"""Providers: the accounts of the file, each with what its preset proposes.

The one rule: a provider that cannot be called is there, inactive, and says why.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from portbroker.compile.faults import Faults
from portbroker.compile.reliability import (
    check_health_check,
    compile_breaker,
    compile_health_check,
    compile_limits,
)
from portbroker.config.load import SWITCHED_OFF, Loaded
from portbroker.config.model import ProviderConfig
from portbroker.config.reliability import BreakerConfig
from portbroker.fieldmap.globs import compile_glob
from portbroker.fieldmap.presets import provider_defaults
from portbroker.origin import Timeouts, Way
from portbroker.snapshot import DEMO, TIERS, Provider


def compile_providers(loaded: Loaded, faults: Faults) -> dict[str, Provider]:
    """The providers by name, in the order of their priority."""
    whole = loaded.config
    providers: dict[str, Provider] = {}
    for index, config in sorted(enumerate(whole.providers), key=lambda pair: pair[1].priority):
        if config.name in providers:
            faults.add(("providers", index, "name"), f"a provider is already called {config.name!r}",
                       "names are how rules, logs and clients tell providers apart")  # fmt: skip
        else:
            _check_base_url(index, config, faults)
            check_health_check(index, config, faults)
            reason, way = loaded.inactive.get(config.name, ""), loaded.ways.get(config.name, Way())
            providers[config.name] = compile_provider(config, whole.breaker, reason, way)
    return providers


def compile_provider(
    config: ProviderConfig,
    breaker: BreakerConfig,
    reason: str = "",
    way: Way = Way(),  # noqa: B008 - a constant
) -> Provider:
    """One provider. `reason` says why it is not active, where that is known already."""
    proposed = provider_defaults(config.provider_type)
    tiers = {tier: getattr(config, f"{tier}_model") or getattr(proposed.models, tier) for tier in TIERS}
    has_key = config.api_key is not None or any(entry.key is not None for entry in config.api_keys)
    if not reason and not has_key and proposed.key == "required" and not config.pass_client_credentials:
        reason = "it has no api_key"
    return Provider(
        name=config.name,
        provider_type=config.provider_type,
        base_url=_base_url(config),
        way=way,
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
        endpoints=frozenset(proposed.endpoints if config.endpoints is None else config.endpoints),
        breaker=compile_breaker(breaker, config.breaker),
        limits=compile_limits(config.limits),
        health_check=compile_health_check(config.health_check),
    )


def wants_demo(providers: Mapping[str, Provider], declared: Sequence[ProviderConfig]) -> bool:
    """Whether the built-in provider answers: nobody else can, and nobody has been switched off on purpose."""
    if any(p.active for p in providers.values()) or DEMO in providers:
        return False
    return not declared or any(p.reason and p.reason != SWITCHED_OFF for p in providers.values())


def _base_url(config: ProviderConfig) -> str:
    return (config.base_url or provider_defaults(config.provider_type).base_url or "").rstrip("/")


def _check_base_url(index: int, config: ProviderConfig, faults: Faults) -> None:
    """Where the provider is must be a place that requests can go to."""
    url = _base_url(config)
    if not url:
        faults.add(("providers", index), f"{config.provider_type} has no base_url of its own",
                   "add `base_url: https://…`")  # fmt: skip
    elif config.base_url and (fault := _url_fault(url)):
        faults.add(("providers", index, "base_url"), *fault)


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
