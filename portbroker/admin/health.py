"""`GET /admin/health`: how providers and their keys are, in the worker that answers or in all of them.

The one rule: each worker finds out for itself who is ill, so an answer says whose it is.
"""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.configuration import known
from portbroker.admin.endpoints import Answer, Asked, Endpoint
from portbroker.admin.forms import Query
from portbroker.admin.parts import Parts
from portbroker.conversation import Json
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


class WorkerHealth(BaseModel):
    """All providers, as one process has them."""

    model_config = ConfigDict(title="Health in a worker")

    process: int
    providers: list[ProviderHealth]


class HealthShown(BaseModel):
    """All providers, as the process that answers has them, or as every process has."""

    model_config = ConfigDict(title="Health")

    revision: str
    workers: list[WorkerHealth]


class Whose(Query):
    """Which processes are meant."""

    workers: Literal["one", "all"] = Field("one", description="That which answers, or all: a second old at most.")


class HealthPage:
    """The health of a gateway's providers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", "/admin/health", self.show, "How providers and their keys are, in one worker or in all.",
                     {200: HealthShown}, query=Whose, tag="health",
                     fails={503: "The other workers cannot be asked."}),
        )  # fmt: skip

    async def show(self, asked: Asked) -> Answer:
        gateway, others = self._parts.gateway, self._parts.health
        views: list[Json] = [{**gateway.attempts.common.health.view(), "process": os.getpid()}]
        if asked.query.workers == "all" and others:
            views += [view for view in await known(others()) if view["process"] != os.getpid()]
        providers = gateway.snapshot.providers.values()
        workers = [
            WorkerHealth(process=view["process"], providers=[_provider(provider, view) for provider in providers])
            for view in sorted(views, key=lambda view: int(view["process"]))
        ]
        return Answer(HealthShown(revision=gateway.snapshot.revision, workers=workers))


def _provider(provider: Provider, view: Json) -> ProviderHealth:
    rests = [_rest(rest) for rest in view["rests"] if rest["provider"] == provider.name]
    record = view["providers"].get(provider.name, {})
    whole = next((rest.state for rest in rests if rest.key is None and rest.model is None), "awake")
    state = _STATES[whole] if provider.active else "inactive"
    return ProviderHealth(
        name=provider.name, state=state, reason=provider.reason,
        calls=record.get("calls", 0), failed=record.get("failed", 0),
        failures_in_a_row=record.get("failures_in_a_row", 0), rests=rests,
    )  # fmt: skip


def _rest(rest: Json) -> RestShown:
    shown = {name: rest[name] for name in RestShown.model_fields}
    return RestShown(**{**shown, "message": fit(rest["message"])})
