"""What another configuration changes, in the words of those who call: `differences`.

The one rule: pure, and no value of a key or a header is ever in a sentence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from portbroker.diff_models import model_changes
from portbroker.named import STAND_IN, declared, in_use, named_targets
from portbroker.snapshot import Provider, Route, Snapshot, Target

Kind = Literal["added", "removed", "changed"]

_PLAIN = {
    "provider_type": "the type of {}",
    "timeouts": "timeouts of {}",
    "on_loss": "on_loss of {}",
    "headers": "headers of {}",
    "breaker": "the breaker of {}",
    "limits": "limits of {}",
    "health_check": "the health check of {}",
    "pass_client_credentials": "whose key is sent to {}",
}
"""Fields of a provider of which no more is said than that they changed."""
_FEW = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text


def differences(before: Snapshot, after: Snapshot) -> list[Change]:
    """What calls meet under `after` that they did not under `before`; nothing when all is the same to them."""
    return [
        *(Change(kind, text) for kind, text in model_changes(before, after)),
        *_route_changes(before.routes, after.routes),
        *_provider_changes(before, after),
        *_translation_changes(before, after),
        *([Change("changed", "retry changed")] if before.retry != after.retry else []),
    ]


def _route_changes(before: Mapping[str, Route], after: Mapping[str, Route]) -> Iterator[Change]:
    for path, route in before.items():
        if path not in after:
            yield Change("removed", f"route {path} closed")
            continue
        now = after[path]
        if now.dialect.name != route.dialect.name:
            yield Change("changed", f"route {path}: {now.dialect.name}, was {route.dialect.name}")
        if now.on_loss != route.on_loss:
            yield Change("changed", f"route {path}: on_loss is {now.on_loss}, was {route.on_loss}")
    for path, route in after.items():
        if path not in before:
            yield Change("added", f"route {path} opened, for {route.dialect.name}")


def _provider_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    old, new = declared(before), declared(after)
    for name, provider in old.items():
        if name not in new:
            yield Change("removed", f"provider {name} removed")
        else:
            yield from _of_provider(before, provider, after, new[name])
    for name, provider in new.items():
        if name not in old:
            yield Change(
                "added", f"provider {name} added" + ("" if provider.active else f", inactive: {provider.reason}")
            )


def _of_provider(before: Snapshot, old: Provider, after: Snapshot, new: Provider) -> Iterator[Change]:
    name = old.name
    if new.active and not old.active:
        yield Change("added", f"provider {name} is active now")
    elif old.active and not new.active:
        yield Change("removed", f"provider {name} is inactive now: {new.reason}")
    elif old.reason != new.reason:
        yield Change("changed", f"provider {name} is inactive because {new.reason}, was because {old.reason}")
    if old.base_url != new.base_url:
        yield Change("changed", f"provider {name} is at {new.base_url}, was {old.base_url}")
    if old.priority != new.priority:
        yield Change("changed", f"provider {name}: priority {new.priority}, was {old.priority}")
    for field in fields(Provider):
        if field.name in _PLAIN and getattr(old, field.name) != getattr(new, field.name):
            yield Change("changed", f"{_PLAIN[field.name].format(name)} changed")
    if in_use(old) and in_use(new):
        yield from _of_connections(name, before.target(old, STAND_IN), after.target(new, STAND_IN))


def _of_connections(name: str, old: Target, new: Target) -> Iterator[Change]:
    if old.origin.proxy != new.origin.proxy:
        yield Change("changed", f"{name} is reached {_by(new)}, was {_by(old)}")
    if (old.origin.ca_file, old.origin.client_cert) != (new.origin.ca_file, new.origin.client_cert):
        yield Change("changed", f"TLS files of {name} changed")
    if old.provider.active and new.provider.active and _keys(old) != _keys(new):
        yield Change("changed", f"the key of {name} changed")


def _by(target: Target) -> str:
    return f"through the proxy {target.origin.proxy}" if target.origin.proxy else "directly"


def _keys(target: Target) -> list[tuple[str, str]]:
    """The marks of the keys, which tell one from another and nothing else."""
    return [(key.name, key.id) for key in target.credentials]


def _translation_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    if _same_sources(before, after):
        return  # thousands of field maps need not be made to see that they are alike
    old, new = named_targets(before), named_targets(after)
    changed: dict[str, list[str]] = {}
    for name, target in new.items():
        if name in old and not _alike(old[name], target):
            changed.setdefault(target.provider.name, []).append(target.model)
    for provider, models in changed.items():
        known = sum(target.provider.name == provider for target in new.values())
        yield Change("changed", f"translation rules changed for {_listed(provider, models, known)}")


def _same_sources(before: Snapshot, after: Snapshot) -> bool:
    (old, old_own), (new, new_own) = before.sources, after.sources
    return old == new and all(old_own[name] == new_own[name] for name in old_own.keys() & new_own.keys())


def _alike(old: Target, new: Target) -> bool:
    """Whether calls are written the same for both."""
    shown = [target.fieldmap.show() for target in (old, new)]
    if old.provider.base_url != new.provider.base_url:
        for one in shown:  # it is part of the address, which is said elsewhere
            one.pop("url", None)
    return shown[0] == shown[1] and old.fieldmap.facts == new.fieldmap.facts


def _listed(provider: str, models: list[str], known: int) -> str:
    if len(models) == known:
        return provider
    if len(models) > _FEW:
        return f"{len(models)} models of {provider}"
    return ", ".join(f"{provider}/{model}" for model in models)
