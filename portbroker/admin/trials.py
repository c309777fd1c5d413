"""`POST /admin/providers/{name}/test`: one real call for one token, to find out whether a provider works.

It goes to the provider as it is served, straight there: health and limits are not asked and hear nothing of it. The one
rule: what is sent is ours; of the client comes the name of a model and nothing else.
"""

import asyncio
import time

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.endpoints import Answer, Asked, Endpoint, not_found
from portbroker.admin.forms import Form
from portbroker.config.load import SWITCHED_OFF
from portbroker.errors import GatewayError
from portbroker.gateway import Gateway
from portbroker.probes import ask
from portbroker.redaction import fit
from portbroker.snapshot import Provider, Target

LONGEST = 30.0
"""Seconds that a test may take."""
_AT_ONCE = 4


class TrialForm(Form):
    """Which model is asked; the provider's smallest when left out."""

    model_config = ConfigDict(title="Test")

    model: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f\u007f-\u009f]*$")


class TrialShown(BaseModel):
    """What came of it. `kind` and `status` are those of the failure."""

    model_config = ConfigDict(title="Outcome of a test")

    provider: str
    model: str
    ok: bool
    ms: float
    kind: str | None = None
    status: int | None = None
    message: str | None = None


class Trials:
    """Tests of the providers that a gateway serves."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._room = asyncio.Semaphore(_AT_ONCE)

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("POST", "/admin/providers/{name}/test", self.test, "Ask a provider for one token.",
                     {200: TrialShown}, body=TrialForm, fails={404: "There is no such provider."}, tag="providers"),
        )  # fmt: skip

    async def test(self, asked: Asked) -> Answer:
        form: TrialForm = asked.body
        snapshot = self._gateway.snapshot
        provider = snapshot.providers.get(asked.params["name"])
        if provider is None:
            raise not_found("provider", asked.params["name"])
        model = form.model or _smallest(provider)
        if not provider.active and provider.reason != SWITCHED_OFF:
            return Answer(TrialShown(provider=provider.name, model=model, ok=False, ms=0.0, message=provider.reason))
        async with self._room:
            return Answer(await self._tried(snapshot.target(provider, model)))

    async def _tried(self, target: Target) -> TrialShown:
        began = time.monotonic()
        fault: tuple[str, int, str] | None = None
        try:
            async with asyncio.timeout(LONGEST):
                await ask(self._gateway.attempts.upstream, target, LONGEST)
        except TimeoutError:
            fault = ("timeout", 0, f"no answer within {LONGEST:.0f} s")
        except GatewayError as error:
            fault = (error.kind, error.status, fit(str(error), target.secrets))
        told = dict(zip(("kind", "status", "message"), fault, strict=True)) if fault else {}
        spent = round((time.monotonic() - began) * 1000, 1)
        return TrialShown(provider=target.provider.name, model=target.model, ok=not fault, ms=spent, **told)


def _smallest(provider: Provider) -> str:
    """The cheapest model that the provider is known to have."""
    plain = next((name for name in provider.models if not set("*?[") & set(name)), "")
    return provider.tiers.get("small") or plain or next(iter(provider.tiers.values()), "") or "test"
