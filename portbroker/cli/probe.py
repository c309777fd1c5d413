"""A gateway on a loopback socket, for cases that put requests to one.

The one rule: it is the real application, started as `serve` starts it; only its configuration is the case's.
"""

import asyncio
import http.client
import tempfile
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from portbroker.app import running
from portbroker.cases.case import CaseError
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.conversation import Json
from portbroker.errors import ConfigError
from portbroker.gateway import Gateway
from portbroker.snapshot import Snapshot

_MAX_BODY = 1024 * 1024
_TIMEOUT = 10.0


class ProbedGateway:
    """A gateway in a thread of its own, started for the first probe and stopped with the context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()
        self._gateway: Gateway | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def probe(self, given: Json) -> Json:
        """What the gateway answers to a case's `$method`, `$path`, `$headers` and `$body`."""
        if not isinstance(given.get("$method"), str) or not isinstance(given.get("$path"), str):
            raise CaseError("a gateway probe has $method and $path")
        asyncio.run_coroutine_threadsafe(self._serve(_snapshot(given.get("$catalog") or [])), self._loop).result()
        return _asked(self._port, given)

    async def _serve(self, snapshot: Snapshot) -> None:
        if self._gateway is None:
            context = running(snapshot, host="127.0.0.1", port=0, max_body=_MAX_BODY)
            listening = await self._stack.enter_async_context(context)
            self._gateway = listening.gateway
            self._port = int(listening.url.rsplit(":", 1)[1])
        self._gateway.snapshot = snapshot


def _snapshot(catalog: list[Json]) -> Snapshot:
    """A configuration whose providers list the models of a catalog."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.yaml"
        path.write_bytes(orjson.dumps(_document(catalog)))  # JSON is YAML
        try:
            return compile_snapshot(load(path))
        except (ConfigError, KeyError, TypeError) as error:
            raise CaseError(f"$catalog: {error}") from error


def _document(catalog: list[Json]) -> Json:
    owners: dict[str, list[str]] = {}
    for model in catalog:
        owners.setdefault(model["owner"], []).append(model["id"])
    providers = [
        {"name": owner, "base_url": "http://127.0.0.1:9/v1", "api_key": "none", "models": ids}
        for owner, ids in owners.items()
    ]
    created = {model["id"]: {"created": model["created"]} for model in catalog if "created" in model}
    return {"providers": providers, "catalog": created}


def _asked(port: int, given: Json) -> Json:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    body = orjson.dumps(given["$body"]) if "$body" in given else None
    try:
        connection.request(given["$method"], given["$path"], body, given.get("$headers") or {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return {"$status": answer.status, "$headers": headers, "$body": _parsed(answer.read())}
    finally:
        connection.close()


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
