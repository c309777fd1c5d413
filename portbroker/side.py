"""Everything a client asks that is not a call to a model: probes, health, the list of models, counting tokens.

The one rule: what we do not serve does not exist, and is said so in the dialect of the path.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from portbroker import __version__, web
from portbroker.conversation import Json
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT
from portbroker.errors import CallError
from portbroker.intake import read_body
from portbroker.snapshot import ListedModel, Snapshot
from portbroker.status import Status
from portbroker.tokens import estimate
from portbroker.usage import Exchange
from portbroker.wire import Reply

_COUNT_PATHS = frozenset({"/v1/messages/count_tokens", "/api/anthropic/v1/messages/count_tokens"})
_MODEL_PAGE = 1000


def dumps(body: Any) -> bytes:
    """A body as JSON bytes."""
    return orjson.dumps(body)


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """The dialect that a client on an unknown or a shared path most likely speaks."""
    anthropic = "messages" in path or "anthropic" in path or "anthropic-version" in headers
    if not anthropic:
        anthropic = path.startswith("/v1/models") and "x-api-key" in headers and "authorization" not in headers
    return ANTHROPIC_MESSAGES if anthropic else OPENAI_CHAT


async def answer(
    request: web.BaseRequest, reply: Reply, path: str, snapshot: Snapshot, exchange: Exchange, status: Status
) -> None:
    """Answer what is not a call. Raises `CallError` (404, 405, 426) for what is not served."""
    if "websocket" in request.headers.get("upgrade", "").lower():
        raise CallError("this gateway does not speak WebSocket: send a POST", kind="invalid", status=426)
    body = await _body(request, path, snapshot, status)
    headers = {
        "content-type": "application/json",
        "request-id": exchange.request_id,
        "x-request-id": exchange.request_id,
        "x-portbroker-revision": snapshot.revision,
    }
    reply.whole(200, headers, dumps(body))


async def _body(request: web.BaseRequest, path: str, snapshot: Snapshot, status: Status) -> Json:
    method = request.method
    if path in _COUNT_PATHS:
        _allow(method, "POST")
        return await _count(request, snapshot)
    if path in snapshot.routes:
        _allow(method, "POST")
    if page := _PAGES.get(path):
        _allow(method, "GET", "HEAD")
        return page(request, snapshot, status)
    if path.startswith("/v1/models/"):
        _allow(method, "GET", "HEAD")
        return _model(request, path.removeprefix("/v1/models/"), snapshot)
    served = ", ".join(sorted(snapshot.routes))
    raise CallError(f"{path} is not served here; calls go to {served}", kind="not_found", status=404)


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise CallError(f"{method} is not possible here; use {' or '.join(allowed)}", status=405, allow=allowed)


def _about(_: web.BaseRequest, snapshot: Snapshot, status: Status) -> Json:
    return {"name": "PortBroker", "version": __version__, **status.page(), "routes": sorted(snapshot.routes)}


def _health(_: web.BaseRequest, snapshot: Snapshot, status: Status) -> Json:
    active = [p.name for p in snapshot.providers.values() if p.active]
    return {"status": "ok", **status.page(), "providers": active}


async def _count(request: web.BaseRequest, snapshot: Snapshot) -> Json:
    try:
        body = orjson.loads(await read_body(request))
    except orjson.JSONDecodeError as error:
        raise CallError(f"the request body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise CallError("the request body must be a JSON object")
    return {"input_tokens": estimate(body)}


def _models(request: web.BaseRequest, snapshot: Snapshot, _: Status) -> Json:
    if dialect_of("/v1/models", request.headers) is OPENAI_CHAT and "limit" not in request.query:
        return {"object": "list", "data": [_openai_model(m) for m in snapshot.listed]}
    listed = snapshot.listed[: _limit(request)]
    return {
        "data": [_anthropic_model(m) for m in listed],
        "has_more": len(listed) < len(snapshot.listed),
        "first_id": listed[0].id if listed else None,
        "last_id": listed[-1].id if listed else None,
    }


def _limit(request: web.BaseRequest) -> int:
    try:
        return max(1, min(_MODEL_PAGE, int(request.query.get("limit", "20"))))
    except ValueError:
        raise CallError("limit: must be a whole number", param="limit") from None


def _model(request: web.BaseRequest, name: str, snapshot: Snapshot) -> Json:
    found = next((m for m in snapshot.listed if m.id == name), None)
    if found is None:
        raise CallError(f"the model {name!r} is not listed here", kind="not_found", status=404, param="model")
    openai = dialect_of("/v1/models", request.headers) is OPENAI_CHAT
    return _openai_model(found) if openai else _anthropic_model(found)


def _openai_model(model: ListedModel) -> Json:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner}


def _anthropic_model(model: ListedModel) -> Json:
    created = datetime.datetime.fromtimestamp(model.created, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown: Json = {"type": "model", "id": model.id, "display_name": model.id, "created_at": created}
    if model.context_window:
        shown["max_input_tokens"] = model.context_window
    if model.max_output_tokens:
        shown["max_tokens"] = model.max_output_tokens
    return shown


_PAGES: dict[str, Callable[[web.BaseRequest, Snapshot, Status], Json]] = {
    "/": _about,
    "/health": _health,
    "/v1/models": _models,
}
