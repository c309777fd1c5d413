"""Probes: providers with a `health_check` are asked at intervals, so that no call need find out how they are.

The one rule: a probe tells `Health` what the failure or the answer of a call would have told, and nothing else.
"""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import orjson

from portbroker.attempts import Attempts
from portbroker.call import parse_call
from portbroker.conversation import mint
from portbroker.dialects.registry import OPENAI_CHAT
from portbroker.errors import GatewayError, ProviderError
from portbroker.health import Fault
from portbroker.origin import Timeouts
from portbroker.policy import HealthCheck
from portbroker.relay import Relay
from portbroker.retries import remedy_for
from portbroker.snapshot import Provider, Snapshot, Target
from portbroker.translate import prepare
from portbroker.upstream import StatusSink, Upstream, UpstreamRequest

_LOOK_AGAIN = 1.0
"""Seconds after which a reload is noticed."""


class Probes:
    """Probes the providers of whatever snapshot is served, from `start` to `stop`."""

    def __init__(self, snapshot: Callable[[], Snapshot], attempts: Attempts) -> None:
        self._snapshot = snapshot
        self._attempts = attempts
        self._due: dict[str, float] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first probes go out at once."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End, and with it every probe under way."""
        tasks = [*self._under_way.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            snapshot, now = self._snapshot(), loop.time()
            probed = [p for p in snapshot.providers.values() if p.active and p.health_check is not None]
            self._due = {provider.name: self._due.get(provider.name, now) for provider in probed}
            for provider in probed:
                if provider.health_check and self._due[provider.name] <= now and provider.name not in self._under_way:
                    self._due[provider.name] = now + provider.health_check.interval
                    self._begin(provider, provider.health_check, snapshot)
            await asyncio.sleep(min([_LOOK_AGAIN, *(max(0.01, due - now) for due in self._due.values())]))

    def _begin(self, provider: Provider, check: HealthCheck, snapshot: Snapshot) -> None:
        task = asyncio.get_running_loop().create_task(self.probe(provider, check, snapshot))
        self._under_way[provider.name] = task
        task.add_done_callback(lambda _: self._under_way.pop(provider.name))

    async def probe(self, provider: Provider, check: HealthCheck, snapshot: Snapshot) -> None:
        """Ask once, and remember what came of it."""
        target = snapshot.target(provider, check.model or next(iter(provider.tiers.values()), "probe"))
        try:
            async with asyncio.timeout(check.timeout):
                await (ask(self._attempts.upstream, target) if check.model else self._get(target, check))
        except TimeoutError:
            self._ill(target, ProviderError(f"no answer to a probe within {check.timeout:g} s", kind="timeout"))
        except GatewayError as error:
            if remedy_for(error, target.model).strikes:
                self._ill(target, error)
        else:
            self._attempts.common.health.wake((provider.name, "", ""))

    def _ill(self, target: Target, error: GatewayError) -> None:
        provider, health = target.provider, self._attempts.common.health
        fault = Fault(error.kind, error.status, f"a probe failed: {error}")
        health.failed(provider.name, provider.breaker, fault, ((provider.name, "", ""),), health.clock())

    async def _get(self, target: Target, check: HealthCheck) -> None:
        """Any answer below 500 will do."""
        path = urlsplit(target.provider.base_url).path.rstrip("/") + (check.path or "")
        sink = StatusSink()
        attempt = self._attempts.upstream.send(_request(target, path, b"", check.timeout, "GET"), sink)
        try:
            status = await sink.status
        finally:
            attempt.cancel()
        if status >= 500:
            raise ProviderError(f"HTTP {status}", kind="api", status=status, provider=target.provider.name)


async def ask(upstream: Upstream, target: Target, patience: float = 60.0) -> None:
    """A call for one token. Raises `GatewayError` when it is not answered."""
    body = {"model": target.model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    call = parse_call(orjson.dumps(body), OPENAI_CHAT)
    sent, answering = prepare(call, target, strict=False, request_id=mint("req_"), created=int(time.time()))
    relay = Relay(answering, stream=False, provider=target.provider.name)
    relay.attempt = upstream.send(_request(target, target.path, sent, patience), relay)
    try:
        await relay.opened
    finally:
        if not relay.ended:
            relay.cancel()


def _request(target: Target, path: str, body: bytes, timeout: float = 60.0, method: str = "POST") -> UpstreamRequest:
    return UpstreamRequest(
        origin=target.origin,
        target=path,
        headers=target.credentials[0].headers,
        body=body,
        timeouts=Timeouts(timeout, timeout, timeout, timeout),
        provider=target.provider.name,
        method=method,
    )
