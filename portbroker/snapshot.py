"""A compiled configuration: the routes, providers, targets and pools that calls need.

The one rule: a snapshot cannot be wrong, only replaced; it holds no sockets, tasks or counters. `compile` makes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from portbroker.config.model import OnLoss, Strategy
from portbroker.cost import Rates
from portbroker.dialects import Dialect
from portbroker.endpoints import ENDPOINTS, Endpoint
from portbroker.errors import Kind
from portbroker.facts import Facts
from portbroker.fieldmap.effective import FieldMap
from portbroker.origin import Origin, Timeouts, Way
from portbroker.policy import Breaker, HealthCheck, Hedge, Keep, Limits, Retry

if TYPE_CHECKING:
    from portbroker.resolution import Resolver

DEMO = "demo"
"""The name of the built-in provider, and of its model."""
TIERS = ("big", "medium", "small")
KEPT = 4096
"""Targets, and pools of requested models, that are remembered; a caller cannot make the memory grow without end."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path that clients call."""

    path: str
    dialect: Dialect
    on_loss: OnLoss
    endpoint: Endpoint | None = None
    """What is called there, where it is no call that dialects translate."""


ENDPOINT_ROUTES: Mapping[str, Route] = {
    path: Route(path, endpoint.dialect, "report", endpoint) for path, endpoint in ENDPOINTS.items()
}
"""The routes that are there in any case."""


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
    endpoints: frozenset[str] = frozenset()
    breaker: Breaker = field(default_factory=Breaker)
    limits: Limits | None = None
    health_check: HealthCheck | None = None
    way: Way = field(default_factory=Way)


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a provider, as the headers that show it. `id` names it in state and changes with the key."""

    name: str
    id: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and the model name it knows: what an attempt is made on.

    `path` is where calls go, after the origin. Each of `credentials` (at least one, be it without a key) has the
    headers to send, complete but for what the call itself adds. They and `secrets` hold the keys and are never shown.
    `origin_hash` names provider and model in state that travels, `name` in state that stays here. `rates` are what it
    costs, where that is known.
    """

    name: str
    provider: Provider
    model: str
    dialect: Dialect
    fieldmap: FieldMap
    origin: Origin
    path: str
    credentials: tuple[Credential, ...] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    origin_hash: str
    rates: Rates | None = None

    def path_with(self, query: str, endpoint: str = "") -> str:
        """`path`, or that of an endpoint beside it (`/embeddings`), with a client's query string."""
        path = self._path_of(endpoint) if endpoint else self.path
        return f"{path}{'&' if '?' in path else '?'}{query}" if query else path

    def _path_of(self, endpoint: str) -> str:
        """Where calls go, with the endpoint in the place of what the dialect adds; else below the base URL."""
        place, mark, query = self.path.partition("?")
        if not place.endswith(self.dialect.path):
            return urlsplit(self.provider.base_url).path + endpoint
        return f"{place.removesuffix(self.dialect.path)}{endpoint}{mark}{query}"


@dataclass(frozen=True, slots=True)
class Pool:
    """The targets for a requested model, as they stand in the file, and what the rule that chose them says of them.

    `name` is the rule's and the same after a reload: what strategies remember is kept by it. `weights` are by the name
    of the target. `fallbacks` are models to ask instead, by the kind of error that refuses the call. `waits` are the
    rule's own time-outs. `why` says how the targets were found; `passed_over` names the providers that would have had
    a place and why they have none.
    """

    name: str
    targets: tuple[Target, ...]
    why: str
    passed_over: tuple[tuple[str, str], ...] = ()
    strategy: Strategy = "priority"
    sticky: str = "session"
    weights: Mapping[str, int] = field(default_factory=dict)
    fallbacks: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    hedge: Hedge | None = None

    def timeouts(self, target: Target) -> Timeouts:
        """How long an attempt on a target may take: as the rule says, else as its provider says."""
        timeouts = target.provider.timeouts
        return replace(timeouts, **self.waits) if self.waits else timeouts


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A name that clients may ask for, as the list of models shows it. `created` is Unix seconds; `title` is how a
    person knows it, where that is not the name."""

    id: str
    owner: str
    created: int = 0
    context_window: int | None = None
    max_output_tokens: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole configuration, as calls need it. `providers` are in the order of their priority."""

    revision: str
    routes: Mapping[str, Route]
    providers: Mapping[str, Provider]
    models: "Resolver"
    listed: tuple[ListedModel, ...]
    target: Callable[[Provider, str], Target]
    """The target for a provider and an upstream model; the same one each time."""
    demo: bool = False
    """No provider has a credential, and the built-in one answers."""
    retry: Retry = field(default_factory=Retry)
    keep: Keep = field(default_factory=Keep)
    sources: tuple[object, Mapping[str, object]] = field(default=((), {}), repr=False)
    """What all field maps are made of, and what more those of each provider are: of the same, the same is made."""

    def resolve(self, facts: Facts, model: str | None = None) -> Pool:
        """The pool, of at least one target, for a call, or for the call as if it asked for `model`.

        Raises `CallError` (404) for a name that nobody serves, and `GatewayError` (503) for one that only providers
        serve which cannot be called.
        """
        return self.models.resolve(facts, facts.model if model is None else model)
