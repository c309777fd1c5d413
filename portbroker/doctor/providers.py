"""Providers: whether they can be reached, take their key, and know the models that the file names.

The one rule: only their list of models is asked for, which costs nothing; what it cannot prove is not claimed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

import orjson

from portbroker.doctor.findings import Finding, bad, doubtful, good, unknown
from portbroker.errors import ProviderError
from portbroker.origin import Timeouts
from portbroker.snapshot import Credential, Provider, Snapshot, Target
from portbroker.upstream import HttpUpstream, UpstreamRequest

_LARGEST: Final = 16 * 1024 * 1024
_HINTS: Final = {
    "resolved": "is the host in base_url right, and does this machine have DNS?",
    "refused": "is a server running there, on this port?",
    "not trusted": "`ca_file` names the authority that has signed it",
    "TLS failed": "does it speak https on this port?",
    "proxy": "is the proxy right? `proxy: none` goes without one",
    "within": "is a firewall or a proxy in the way?",
}
"""By words of what the transport says."""


async def look(snapshot: Snapshot, named: Mapping[str, Sequence[str]], seconds: float) -> list[Finding]:
    """What is to say of all active providers, at once.

    `named` are the models that the file names for each; a question may take so many `seconds`.
    """
    upstream = HttpUpstream()
    active = [p for p in snapshot.providers.values() if p.active and "://" in p.base_url and _real(p)]
    try:
        looks = (_look(upstream, snapshot, provider, named.get(provider.name, ()), seconds) for provider in active)
        return [finding for findings in await asyncio.gather(*looks) for finding in findings]
    finally:
        await upstream.close()


def _real(provider: Provider) -> bool:
    return urlsplit(provider.base_url).scheme in ("http", "https")


async def _look(
    upstream: HttpUpstream, snapshot: Snapshot, provider: Provider, models: Sequence[str], seconds: float
) -> list[Finding]:
    target = snapshot.target(provider, next(iter(models), "any"))
    try:
        answers = [await _asked(upstream, target, key, seconds) for key in target.credentials]
        bare = await _asked(upstream, target, Credential("", "-", {}), seconds)
    except ProviderError as error:
        hint = next((hint for words, hint in _HINTS.items() if words in str(error)), "is base_url right?")
        return [bad(provider.name, str(error), hint)]
    reached = good(provider.name, f"{provider.base_url} can be reached")
    keys = [_key(provider, key, answer, bare) for key, answer in zip(target.credentials, answers, strict=True)]
    best = next((answer for answer in answers if answer.status == 200), None)
    return [reached, *keys, *(_models(provider, models, best.models) if best else [])]


class _Answer:
    """A sink that keeps what came, of one request for a list of models."""

    def __init__(self) -> None:
        self.status = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pieces: list[bytes] = []
        self._size = 0

    def head(self, status: int, _: Mapping[str, str]) -> None:
        self.status = status

    def data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= _LARGEST:
            self._pieces.append(data)

    def end(self) -> None:
        self.done.set_result(None)

    def fail(self, error: ProviderError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    @property
    def models(self) -> list[str]:
        """The names in the list, without what some put before each."""
        try:
            body = orjson.loads(b"".join(self._pieces))
        except orjson.JSONDecodeError:
            return []
        data = body.get("data", body.get("models")) if isinstance(body, dict) else body
        entries = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
        return [str(each.get("id", each.get("name", ""))).removeprefix("models/") for each in entries]


async def _asked(upstream: HttpUpstream, target: Target, key: Credential, seconds: float) -> _Answer:
    """Its list of models, asked for with this key. Raises `ProviderError`."""
    path = urlsplit(target.provider.base_url).path.rstrip("/") + "/models"
    query = "?limit=1000" if target.dialect.name == "anthropic.messages" else ""
    limits = Timeouts(seconds, seconds, seconds, seconds)
    request = UpstreamRequest(target.origin, path + query, key.headers, b"", limits, target.provider.name, "GET")
    answer = _Answer()
    attempt = upstream.send(request, answer)
    try:
        await answer.done
    finally:
        if not answer.done.done():
            attempt.cancel()
    return answer


def _key(provider: Provider, key: Credential, answer: _Answer, bare: _Answer) -> Finding:
    which = f"its key {key.name}" if key.name else "its key"
    status = answer.status
    if status in (401, 403):
        return bad(provider.name, f"{which} is refused, with status {status}", "is it the right one, and still good?")
    if status == 200 and bare.status == 200:
        return unknown(provider.name, f"whether {which} is taken: it lists its models to anyone")
    if status == 200:
        return good(provider.name, f"{which} is taken")
    if status in (404, 405):
        return unknown(provider.name, "its key and its models: it has no list of models")
    hint = "wait, or look at its status page" if status >= 429 else "is base_url right?"
    return doubtful(provider.name, f"its list of models answers with status {status}", hint)


def _models(provider: Provider, named: Sequence[str], listed: Sequence[str]) -> list[Finding]:
    if not listed:
        return []
    strange = [model for model in named if model not in listed]
    if not strange and named:
        return [good(provider.name, f"it knows {', '.join(named)}")]
    return [doubtful(provider.name, f"{model} is not in its list of models", _near(model, listed)) for model in strange]


def _near(model: str, listed: Sequence[str]) -> str:
    close = get_close_matches(model, listed, n=1, cutoff=0.4)
    return f"did it mean {close[0]}?" if close else f"it lists {', '.join(sorted(listed)[:5])}"
