"""The connections of a mock, and what it does on them. The one rule: it listens on loopback, and nowhere else.

It speaks HTTP by aiohttp's server and not by the gateway's own code: what that gets wrong must not go unnoticed here.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
from aiohttp import web

from portbroker.conversation import Json
from portbroker.dialects import Dialect, ErrorAnswer
from portbroker.dialects.registry import DIALECTS, OPENAI_CHAT
from portbroker.errors import GatewayError
from portbroker.listening import bind, url_of
from portbroker.mock import answers
from portbroker.mock.answers import Asked
from portbroker.mock.behaviours import Behaviour, BehaviourError, behaviour_of, behaviour_of_model
from portbroker.wire import visible

CONTROL: Final = "/__mock"
"""Where a mock is told what to do, and says what it has done."""
HEADER: Final = "x-mock"
LARGEST: Final = 64 * 1024 * 1024

_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
_JSON = {"content-type": "application/json"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(slots=True)
class Mock:
    """One provider. `behaviour` is for all calls; while it is None, each has that of its model's name.

    Its `name` in answers is that of its port when it has none. `pace` is in seconds between two words of a stream.
    """

    name: str = ""
    behaviour: Behaviour | None = None
    pace: float = 0.02
    calls: int = 0
    open: int = 0
    url: str = ""
    met: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)

    def standing(self) -> Json:
        """What it does, and what it has done."""
        return {
            "name": self.name,
            "behaviour": self.behaviour.words if self.behaviour else None,
            "calls": self.calls,
            "open": self.open,
            "by_behaviour": dict(self.met),
            "by_model": dict(self.models),
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or fail it as told."""
        dialect = next((d for d in DIALECTS.values() if request.path.endswith(d.path)), OPENAI_CHAT)
        try:
            if request.path == CONTROL:
                return await self._control(request)
            if request.method == "POST" and request.path.endswith(dialect.path):
                return await self._counted(request, dialect)
            raise answers.refusal(404, f"the mock takes POST {', '.join(d.path for d in DIALECTS.values())}")
        except GatewayError as error:
            return _refusal(dialect.encode_error(error, f"req_{self.name}_{self.calls}"))
        except ConnectionError:
            return web.Response()  # the client has left: nobody is there to be told

    async def _control(self, request: web.Request) -> web.Response:
        """GET tells; POST `{"behaviour": "hang"}` sets it for all calls, and null no longer."""
        if request.method == "POST":
            self.behaviour = _told(await request.read())
        return web.Response(body=orjson.dumps(self.standing()), headers=_JSON)

    async def _counted(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        self.calls += 1
        self.open += 1
        try:
            return await self._call(request, dialect)
        finally:
            self.open -= 1

    async def _call(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        asked = answers.read(dialect, await request.read(), self.calls, self.name)
        model = asked.conversation.model
        behaviour = self._behaviour(request.headers.get(HEADER), model)
        self.met[behaviour.words] += 1
        self.models[model] += 1
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        if asked.conversation.stream and (streamed := _STREAMS.get(behaviour.act)):
            return await self._stream(request, streamed(asked, behaviour), cut=behaviour.act == "cut-after")
        return await _WHOLE[behaviour.act](request, asked, behaviour)

    def _behaviour(self, header: str | None, model: str) -> Behaviour:
        """What is asked for this call comes first, then what holds for all, then the name of the model."""
        if header:
            with _named():
                return behaviour_of(header)
        return self.behaviour or behaviour_of_model(model) or Behaviour()

    async def _stream(self, request: web.Request, pieces: Iterator[bytes], *, cut: bool) -> web.StreamResponse:
        reply = web.StreamResponse(headers=_STREAM)
        await reply.prepare(request)
        for piece in pieces:
            await reply.write(piece)
            await asyncio.sleep(self.pace)
        return _reset(request) if cut else reply


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except BehaviourError as error:
        raise answers.refusal(400, str(error)) from error


def _told(raw: bytes) -> Behaviour | None:
    """The behaviour that the control endpoint is asked for."""
    try:
        body = orjson.loads(raw)
        words = body["behaviour"]
    except (ValueError, TypeError, LookupError) as error:
        raise answers.refusal(400, 'send {"behaviour": "fail-503"}, or null for none') from error
    with _named():
        return None if words is None else behaviour_of(str(words))


def _refusal(error: ErrorAnswer) -> web.Response:
    return web.Response(body=orjson.dumps(error.body), status=error.status, headers={**error.headers, **_JSON})


def _reset(request: web.Request) -> web.Response:
    """End the connection as a machine does that has gone: without a word. What is returned finds nobody."""
    transport = request.transport
    if transport is not None and not transport.is_closing():
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _plain(_: web.Request, asked: Asked, behaviour: Behaviour) -> web.StreamResponse:
    headers = {**_JSON, "x-request-id": visible(asked.request_id)}
    return web.Response(body=answers.whole(asked, tool=behaviour.act == "tool"), headers=headers)


async def _fail(_: web.Request, asked: Asked, behaviour: Behaviour) -> web.StreamResponse:
    return _refusal(answers.failure(asked, behaviour.number))


async def _overflow(_: web.Request, asked: Asked, __: Behaviour) -> web.StreamResponse:
    return _refusal(answers.overflow(asked))


async def _error(_: web.Request, asked: Asked, __: Behaviour) -> web.StreamResponse:
    return web.Response(body=orjson.dumps(answers.failure(asked, 529).body), headers=_JSON)


async def _no_answer(request: web.Request, _: Asked, __: Behaviour) -> web.StreamResponse:
    return _reset(request)


async def _hang(_: web.Request, __: Asked, ___: Behaviour) -> web.StreamResponse:
    never: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await never  # cancelled when the client leaves


async def _cut(request: web.Request, asked: Asked, _: Behaviour) -> web.StreamResponse:
    body = answers.whole(asked, tool=False)
    reply = web.StreamResponse(headers=_JSON)
    await reply.prepare(request)
    await reply.write(body[: len(body) // 2])
    await asyncio.sleep(0)
    return _reset(request)


async def _empty(_: web.Request, __: Asked, ___: Behaviour) -> web.StreamResponse:
    return web.Response(headers=_JSON)


async def _html(_: web.Request, __: Asked, ___: Behaviour) -> web.StreamResponse:
    return web.Response(body=_PAGE, headers={"content-type": "text/html"})


_WHOLE: Final = {
    "plain": _plain, "tool": _plain, "fail": _fail, "reset": _no_answer, "hang": _hang, "cut-after": _cut,
    "empty": _empty, "html": _html, "overflow": _overflow, "error-in-stream": _error,
}  # fmt: skip
"""By behaviour, the answer that is no stream: also that to a call for a stream, where the fault shows before one."""

_STREAMS: Final[dict[str, Callable[[Asked, Behaviour], Iterator[bytes]]]] = {
    "plain": lambda asked, _: answers.pieces(asked, tool=False),
    "tool": lambda asked, _: answers.pieces(asked, tool=True),
    "cut-after": lambda asked, behaviour: answers.begun(asked, behaviour.number),
    "error-in-stream": lambda asked, _: answers.broken_off(asked),
}


@contextlib.asynccontextmanager
async def serving(mock: Mock, port: int = 0) -> AsyncIterator[Mock]:
    """The mock, answering on loopback at `port` (0: a free one), until the context ends. Its `url` says where.

    Raises `StartError` when it cannot listen there.
    """
    sockets = bind("127.0.0.1", port)
    mock.url = url_of(sockets)
    mock.name = mock.name or f"mock-{mock.url.rpartition(':')[2]}"
    app = web.Application(client_max_size=LARGEST)
    app.router.add_route("*", "/{path:.*}", mock.handle)
    # A call that hangs would never end, and one whose client has left is nobody's any more.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        for sock in sockets:
            await web.SockSite(runner, sock).start()
        yield mock
    finally:
        await runner.cleanup()
