"""A compiled configuration: the routes, providers, rules and targets that calls need, and how a model is resolved.

The one rule: a snapshot cannot be wrong, only replaced; it holds no sockets, tasks or counters. `compile` makes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from portbroker.config.model import OnLoss
from portbroker.dialects import Dialect
from portbroker.errors import CallError, GatewayError
from portbroker.fieldmap.effective import FieldMap
from portbroker.origin import Origin, Timeouts

DEMO = "demo"
"""The name of the built-in provider, and of its model."""
TIERS = ("big", "medium", "small")
POOLS_KEPT = 4096
"""Names of requested models whose pools are remembered; a caller cannot make the memory grow without end."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path that clients call."""

    path: str
    dialect: Dialect
    on_loss: OnLoss


@dataclass(frozen=True, slots=True)
class Provider:
    """A named upstream account. `reason` says why it is not active."""

    name: str
    provider_type: str
    base_url: str
    priority: int
    active: bool
    reason: str
    timeouts: Timeouts
    on_loss: OnLoss
    tiers: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    models: tuple[str, ...]
    lists: Callable[[str], bool]
    pass_client_credentials: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and the model name it knows: what an attempt is made on.

    `path` is where calls go, after the origin; `headers` are complete but for what the call itself adds. They and
    `secrets` hold the credential and are never shown. `origin_hash` names provider and model in state that travels.
    """

    provider: Provider
    model: str
    dialect: Dialect
    fieldmap: FieldMap
    origin: Origin
    path: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    origin_hash: str

    def path_with(self, query: str) -> str:
        """`path` with a client's query string."""
        return f"{self.path}{'&' if '?' in self.path else '?'}{query}" if query else self.path


@dataclass(frozen=True, slots=True)
class Pool:
    """The targets for a requested model, in order, and the words that say why these.

    `passed_over` names the providers that would have had a place and why they have none.
    """

    targets: tuple[Target, ...]
    why: str
    passed_over: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A name that clients may ask for, as the list of models shows it. `created` is Unix seconds."""

    id: str
    owner: str
    created: int = 0
    context_window: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRule:
    """One entry of `models:`, compiled."""

    pattern: str
    matches: Callable[[str], bool]
    tier: str | None
    targets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole configuration, as calls need it. `providers` are in the order in which they are tried."""

    revision: str
    routes: Mapping[str, Route]
    providers: Mapping[str, Provider]
    rules: tuple[ModelRule, ...]
    listed: tuple[ListedModel, ...]
    target: Callable[[Provider, str], Target]
    """The target for a provider and an upstream model; the same one each time."""
    demo: bool = False
    """No provider has a credential, and the built-in one answers."""
    _pools: dict[str, Pool] = field(default_factory=dict, repr=False)

    def pool(self, model: str) -> Pool:
        """The targets for a requested model, at least one.

        Raises `CallError` (404) for a name that nobody serves, and `GatewayError` (503) for one that only inactive
        providers serve.
        """
        pool = self._pools.get(model)
        if pool is None:
            pool = self._resolve(model)
            if len(self._pools) >= POOLS_KEPT:
                self._pools.clear()  # a memory of a pure function: nothing is lost but time
            self._pools[model] = pool
        return pool

    def _resolve(self, model: str) -> Pool:
        pool = self.explain(model)
        if pool.targets:
            return pool
        reasons = "; ".join(f"{name} is inactive: {reason}" for name, reason in pool.passed_over)
        raise GatewayError(f"no active provider serves {model!r} ({pool.why}): {reasons}", kind="api", status=503)

    def explain(self, model: str) -> Pool:
        """As `pool`, but inactive providers alone leave the pool empty instead of raising."""
        wanted, why = self._wanted(model)
        passed_over = tuple((p.name, p.reason) for p, _ in wanted if not p.active)
        targets = tuple(self.target(p, upstream) for p, upstream in wanted if p.active)
        if not targets and self.demo:
            targets = (self.target(self.providers[DEMO], DEMO),)
        return Pool(targets, why, passed_over)

    def _wanted(self, model: str) -> tuple[list[tuple[Provider, str]], str]:
        """Who serves a name, active or not, and why. Raises `CallError` when nobody does."""
        providers = self.providers.values()
        for number, rule in enumerate(self.rules, 1):
            if rule.matches(model):
                if rule.tier is None:
                    return [
                        (self.providers[name], m) for name, m in rule.targets
                    ], f"models rule {number}: {rule.pattern}"
                tiers = [(p, p.tiers[rule.tier]) for p in providers if rule.tier in p.tiers]
                return tiers, f"models rule {number}: {rule.pattern}, tier {rule.tier}"
        if listing := [(p, model) for p in providers if p.lists(model)]:
            return listing, "listed under a provider's models"
        for provider in providers:
            if model.startswith(provider.name + "/"):
                return [(provider, model.removeprefix(provider.name + "/"))], f"addressed to {provider.name}"
        raise self._unknown(model)

    def _unknown(self, model: str) -> CallError:
        known = [m.id for m in self.listed] + [f"{name}/" for name in self.providers]
        near = get_close_matches(model, known, n=3, cutoff=0.5)
        offer = f"did you mean {' or '.join(map(repr, near))}?" if near else _offer(self)
        shown = model if len(model) <= 100 else model[:100] + "…"
        return CallError(f"no rule and no provider serves the model {shown!r}; {offer}", kind="not_found", status=404,
                         param="model", code="model_not_found")  # fmt: skip


def _offer(snapshot: Snapshot) -> str:
    names = [rule.pattern for rule in snapshot.rules] + [m.id for m in snapshot.listed]
    return f"served are: {', '.join(list(dict.fromkeys(names))[:12])}" if names else "nothing is served by name"
