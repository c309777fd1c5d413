"""`GET /admin/health`: how providers and their keys are, as the worker that answers has it.

The one rule: each worker finds out for itself who is ill, so an answer says whose it is.
"""

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.endpoints import Answer, Asked, Endpoint
from portbroker.gateway import Gateway
from portbroker.redaction import fit
from portbroker.snapshot import Provider

State = Literal["ok", "resting", "half-open", "inactive"]
_STATES: dict[str, State] = {"awake": "ok", "resting": "resting", "half-open": "half-open"}


class RestShown(BaseModel):
    """A place that is left alone: a provider, one of its keys, a model, or a key for a model. `seconds` are left."""

    model_config = ConfigDict(title="Rest")

    key: str | None
    model: str | None
    state: Literal["resting", "half-open", "awake"]
    seconds: float
    times: int = Field(description="In a row.")
    kind: str
    status: int
    message: str


class ProviderHealth(BaseModel):
    """A provider: `calls` and `failed` are those of the breaker's window."""

    model_config = ConfigDict(title="Health of a provider")

    name: str
    state: State
    reason: str
    calls: int
    failed: int
    failures_in_a_row: int
    rests: list[RestShown]


class HealthShown(BaseModel):
    """All providers, as process `pid` has them."""

    model_config = ConfigDict(title="Health")

    pid: int
    revision: str
    providers: list[ProviderHealth]


class HealthPage:
    """The health of a gateway's providers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", "/admin/health", self.show, "How providers and their keys are, in the worker that answers.",
                     {200: HealthShown}, tag="health"),
        )  # fmt: skip

    async def show(self, _: Asked) -> Answer:
        snapshot, view = self._gateway.snapshot, self._gateway.attempts.common.health.view()
        shown = [_provider(provider, view) for provider in snapshot.providers.values()]
        return Answer(HealthShown(pid=os.getpid(), revision=snapshot.revision, providers=shown))


def _provider(provider: Provider, view: dict[str, Any]) -> ProviderHealth:
    rests = [_rest(rest) for rest in view["rests"] if rest["provider"] == provider.name]
    record = view["providers"].get(provider.name, {})
    whole = next((rest.state for rest in rests if rest.key is None and rest.model is None), "awake")
    state = _STATES[whole] if provider.active else "inactive"
    return ProviderHealth(
        name=provider.name, state=state, reason=provider.reason,
        calls=record.get("calls", 0), failed=record.get("failed", 0),
        failures_in_a_row=record.get("failures_in_a_row", 0), rests=rests,
    )  # fmt: skip


def _rest(rest: dict[str, Any]) -> RestShown:
    shown = {name: rest[name] for name in RestShown.model_fields}
    return RestShown(**{**shown, "message": fit(rest["message"])})
