"""Which page answers which path, and by which methods.

The one rule: a path that is not here is not served, and whoever asks hears what is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from portbroker import __version__
from portbroker.caller import Caller
from portbroker.conversation import Json
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT
from portbroker.endpoints import ENDPOINTS
from portbroker.errors import CallError
from portbroker.kept_responses import ResponseStore
from portbroker.request import Request
from portbroker.side.elsewhere import delete_elsewhere
from portbroker.side.models import list_page, models_dialect, one_model
from portbroker.side.paths import meant_path
from portbroker.side.responses import about_response, methods
from portbroker.snapshot import Snapshot
from portbroker.status import Status
from portbroker.upstream import Upstream
from portbroker.usage import Exchange
from portbroker.wire import Reply

_MODELS = "/v1/models"


def dumps(body: Any) -> bytes:
    """A body as JSON bytes."""
    return orjson.dumps(body)


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """The dialect that a client on an unknown or a shared path most likely speaks."""
    if path == _MODELS or path.startswith(f"{_MODELS}/"):
        return models_dialect(headers, {})
    anthropic = "messages" in path or "anthropic" in path or "anthropic-version" in headers
    return ANTHROPIC_MESSAGES if anthropic else OPENAI_CHAT


def meant(path: str, snapshot: Snapshot) -> str:
    """The path that a client means, as far as anything is served there; see `meant_path`."""
    return meant_path(path, lambda spelling: _is_served(spelling, snapshot))


def _is_served(path: str, snapshot: Snapshot) -> bool:
    named = path in snapshot.routes or path in ENDPOINTS or path in _PAGES
    return named or path.startswith(f"{_MODELS}/") or bool(methods(path))


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom the pages serve, and what they need for it: responses that are kept, and the way to providers."""

    kept: ResponseStore
    caller: Caller
    upstream: Upstream
    status: Status


async def answer(request: Request, reply: Reply, path: str, snapshot: Snapshot, exchange: Exchange, desk: Desk) -> None:
    """Answer what is not a call. Raises `CallError` (404, 405, 426) for what is not served."""
    if "websocket" in request.headers.get("upgrade", "").lower():
        reply.keep_alive = False  # Codex sends its call over a new connection at once, and waits on an old one
        raise CallError("this gateway does not speak WebSocket: send a POST", kind="invalid", status=426)
    if allowed := methods(path):
        _allow(request.method, *allowed)
        body = await _response(request, path, snapshot, desk)
    else:
        body = _body(request, path, snapshot, desk)
    headers = {
        "content-type": "application/json",
        "request-id": exchange.request_id,
        "x-request-id": exchange.request_id,
        "x-portbroker-revision": snapshot.revision,
    }
    reply.whole(200, headers, dumps(body))


def _body(request: Request, path: str, snapshot: Snapshot, desk: Desk) -> Json:
    method = request.method
    if path in snapshot.routes or path in ENDPOINTS:
        _allow(method, "POST")
    if page := _PAGES.get(path):
        _allow(method, "GET", "HEAD")
        return page(request, snapshot, desk)
    if path.startswith(f"{_MODELS}/"):
        _allow(method, "GET", "HEAD")
        name = unquote(path.removeprefix(f"{_MODELS}/"))
        desk.caller.check_model(name)
        return one_model(name, models_dialect(request.headers, {}), request.headers, snapshot)
    served = ", ".join(sorted(snapshot.routes))
    raise CallError(f"{path} is not served here; calls go to {served}", kind="not_found", status=404)


async def _response(request: Request, path: str, snapshot: Snapshot, desk: Desk) -> Json:
    kept, body = await about_response(request.method, path, request.query, desk.kept, desk.caller.id)
    if request.method == "DELETE":
        if kept.provider:
            await delete_elsewhere(kept, snapshot, desk.upstream)
        await desk.kept.delete(desk.caller.id, kept.id)
    return body


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise CallError(f"{method} is not possible here; use {' or '.join(allowed)}", status=405, allow=allowed)


def _about(_: Request, snapshot: Snapshot, desk: Desk) -> Json:
    return {"name": "PortBroker", "version": __version__, **desk.status.page(), "routes": sorted(snapshot.routes)}


def _health(_: Request, snapshot: Snapshot, desk: Desk) -> Json:
    active = [p.name for p in snapshot.providers.values() if p.active]
    return {"status": "ok", **desk.status.page(), "providers": active}


def _models(request: Request, snapshot: Snapshot, desk: Desk) -> Json:
    """Those that the caller may ask for."""
    allowed = desk.caller.models
    listed = [model for model in snapshot.listed if allowed is None or allowed(model.id)]
    return list_page(models_dialect(request.headers, request.query), request.query, listed)


_PAGES: dict[str, Callable[[Request, Snapshot, Desk], Json]] = {
    "/": _about,
    "/health": _health,
    _MODELS: _models,
}
