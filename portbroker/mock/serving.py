"""The connections of a mock, and what it does on them. The one rule: it listens on loopback, and nowhere else."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson

from portbroker.clients import Clients
from portbroker.conversation import Json
from portbroker.dialects import Dialect, ErrorAnswer
from portbroker.dialects.registry import DIALECTS, OPENAI_CHAT
from portbroker.errors import GatewayError
from portbroker.intake import read_body
from portbroker.listening import bind, close, url_of
from portbroker.mock import answers
from portbroker.mock.answers import Asked
from portbroker.mock.behaviours import Behaviour, BehaviourError, behaviour_of, behaviour_of_model
from portbroker.request import Request
from portbroker.wire import Reply, visible

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

    async def handle(self, request: Request) -> Reply:
        """Answer one request, or fail it as told."""
        reply = Reply(request)
        path = request.raw_path.partition("?")[0]
        dialect = next((d for d in DIALECTS.values() if path.endswith(d.path)), OPENAI_CHAT)
        try:
            if path == CONTROL:
                await self._control(request, reply)
            elif request.method == "POST" and path.endswith(dialect.path):
                await self._counted(request, reply, dialect)
            else:
                raise answers.refusal(404, f"the mock takes POST {', '.join(d.path for d in DIALECTS.values())}")
        except GatewayError as error:
            _refuse(reply, dialect.encode_error(error, f"req_{self.name}_{self.calls}"))
        return reply

    async def _control(self, request: Request, reply: Reply) -> None:
        """GET tells; POST `{"behaviour": "hang"}` sets it for all calls, and null no longer."""
        if request.method == "POST":
            self.behaviour = _told(await read_body(request))
        reply.whole(200, _JSON, orjson.dumps(self.standing()))

    async def _counted(self, request: Request, reply: Reply, dialect: Dialect) -> None:
        self.calls += 1
        self.open += 1
        try:
            await self._call(request, reply, dialect)
        finally:
            self.open -= 1

    async def _call(self, request: Request, reply: Reply, dialect: Dialect) -> None:
        asked = answers.read(dialect, await read_body(request), self.calls, self.name)
        model = asked.conversation.model
        behaviour = self._behaviour(request.headers.get(HEADER), model)
        self.met[behaviour.words] += 1
        self.models[model] += 1
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        if asked.conversation.stream and (streamed := _STREAMS.get(behaviour.act)):
            await self._stream(request, reply, streamed(asked, behaviour), cut=behaviour.act == "cut-after")
        else:
            await _WHOLE[behaviour.act](request, reply, asked, behaviour)

    def _behaviour(self, header: str | None, model: str) -> Behaviour:
        """What is asked for this call comes first, then what holds for all, then the name of the model."""
        if header:
            with _named():
                return behaviour_of(header)
        return self.behaviour or behaviour_of_model(model) or Behaviour()

    async def _stream(self, request: Request, reply: Reply, pieces: Iterator[bytes], *, cut: bool) -> None:
        reply.begin(200, _STREAM, b"")
        for piece in pieces:
            reply.write(piece)
            if reply.full:
                await reply.drained()
            await asyncio.sleep(self.pace)
        if cut:
            _reset(request)
        else:
            reply.finish()


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


def _refuse(reply: Reply, error: ErrorAnswer) -> None:
    reply.whole(error.status, {**error.headers, **_JSON}, orjson.dumps(error.body))


def _reset(request: Request) -> None:
    """End the connection as a machine does that has gone: without a word."""
    transport = request.client.transport
    if not transport.is_closing():
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _plain(_: Request, reply: Reply, asked: Asked, behaviour: Behaviour) -> None:
    headers = {**_JSON, "x-request-id": visible(asked.request_id)}
    reply.whole(200, headers, answers.whole(asked, tool=behaviour.act == "tool"))


async def _fail(_: Request, reply: Reply, asked: Asked, behaviour: Behaviour) -> None:
    _refuse(reply, answers.failure(asked, behaviour.number))


async def _overflow(_: Request, reply: Reply, asked: Asked, __: Behaviour) -> None:
    _refuse(reply, answers.overflow(asked))


async def _error(_: Request, reply: Reply, asked: Asked, __: Behaviour) -> None:
    reply.whole(200, _JSON, orjson.dumps(answers.failure(asked, 529).body))


async def _no_answer(request: Request, _: Reply, __: Asked, ___: Behaviour) -> None:
    _reset(request)


async def _hang(_: Request, __: Reply, ___: Asked, ____: Behaviour) -> None:
    await asyncio.get_running_loop().create_future()  # cancelled when the client leaves


async def _cut(request: Request, reply: Reply, asked: Asked, _: Behaviour) -> None:
    body = answers.whole(asked, tool=False)
    reply.begin(200, _JSON, body[: len(body) // 2])
    await asyncio.sleep(0)
    _reset(request)


async def _empty(_: Request, reply: Reply, __: Asked, ___: Behaviour) -> None:
    reply.whole(200, _JSON, b"")


async def _html(_: Request, reply: Reply, __: Asked, ___: Behaviour) -> None:
    reply.whole(200, {"content-type": "text/html"}, _PAGE)


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
    clients = Clients(mock.handle, max_body=LARGEST)
    loop = asyncio.get_running_loop()
    listeners = [await loop.create_server(clients.connect, sock=sock) for sock in sockets]
    mock.url = url_of(sockets)
    mock.name = mock.name or f"mock-{mock.url.rpartition(':')[2]}"
    try:
        yield mock
    finally:
        for listener in listeners:
            listener.close()
        close(sockets)
        clients.hurry()  # calls that hang would never end
        await clients.end(0)
