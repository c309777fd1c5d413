"""Providers that are declared and not used, or used in a way that nobody wants.

The one rule: what a provider lacks only on this machine, its key, is no doubt.
"""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from portbroker.config.load import Loaded
from portbroker.config.model import ProviderConfig
from portbroker.config.place import Path
from portbroker.named import declared, in_use
from portbroker.snapshot import TIERS, Provider, Snapshot

_LOCAL_ENDS = (".local", ".internal", ".localhost", ".svc", ".lan", ".test")


def doubtful_providers(loaded: Loaded, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """What is doubtful about each provider."""
    known = declared(snapshot)
    for index, config in enumerate(loaded.config.providers):
        at, provider = ("providers", index), known[config.name]
        if not in_use(provider):
            continue
        if not _reached(provider, snapshot):
            hint = f"name it in `models:`, or give it `models`; as it is, only {provider.name}/MODEL reaches it"
            yield (*at, "name"), f"no rule and no list of models leads to {provider.name}", hint
        yield from _tiers(at, config, snapshot)
        yield from _keys(at, config, provider)
        yield from _times(at, config, provider)


def _reached(provider: Provider, snapshot: Snapshot) -> bool:
    rules = snapshot.models.rules
    by_tier = any(
        r.tier in provider.tiers and (not r.providers or provider.name in r.providers) for r in rules if r.tier
    )
    named = any(provider.name in (*r.providers, *(target.provider for target in r.targets)) for r in rules)
    return bool(provider.models) or by_tier or named


def _tiers(at: Path, config: ProviderConfig, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    asked = {rule.tier for rule in snapshot.models.rules}
    for tier in TIERS:
        word = f"{tier}_model"
        if getattr(config, word) and tier not in asked and not snapshot.demo:
            yield (*at, word), f"no rule of `models:` has `tier: {tier}`", "add one, or take this out"


def _keys(at: Path, config: ProviderConfig, provider: Provider) -> Iterator[tuple[Path, str, str]]:
    has_key = config.api_key is not None or bool(config.api_keys) or bool(provider.reason)
    if config.pass_client_credentials and (config.api_key is not None or config.api_keys):
        yield (*at, "pass_client_credentials"), "the client's credential is sent, and the key here never is", (
            "take one of the two out")  # fmt: skip
    elif has_key and provider.base_url.startswith("http://") and not _near(provider.base_url):
        yield (*at, "base_url"), "the key goes over the network in clear", "use https, or a proxy that does"


def _near(url: str) -> bool:
    """Whether the address is of this machine, or of a network of one's own."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_ENDS)


def _times(at: Path, config: ProviderConfig, provider: Provider) -> Iterator[tuple[Path, str, str]]:
    timeouts = provider.timeouts
    for phase in ("connect", "first_byte", "idle"):
        if phase in config.timeout.model_fields_set and getattr(timeouts, phase) > timeouts.total:
            yield (*at, "timeout", phase), f"longer than the whole attempt may take ({timeouts.total:g} s)", (
                "make `total` longer, or this shorter")  # fmt: skip
    check = provider.health_check
    if check is not None and check.timeout > check.interval:
        yield (*at, "health_check"), "a probe may take longer than the time until the next one", (
            "make `interval` longer, or `timeout` shorter")  # fmt: skip
