"""The life of a call, top to bottom: start reading here.

    route -> identify the caller -> parse -> resolve the model to a pool -> admit (limits, budget) -> for each target:
          translate, send, wait for something good (all this in `attempts`) -> relay -> enter in the books

The one rule: a call is tried again only before its first byte has gone out, and only in `Carriage.open`.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial

from portbroker import side
from portbroker.attempts import Asking, Attempts, Opened
from portbroker.auth import Auth
from portbroker.books import Books, Entry, client_of
from portbroker.call import Call, parse_call, parse_endpoint_call
from portbroker.caller import Caller
from portbroker.dialects import Dialect
from portbroker.dialects.registry import OPENAI_RESPONSES
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.facts import Facts
from portbroker.headers import answer_headers
from portbroker.intake import read_body
from portbroker.keeping import resume
from portbroker.kept_responses import ResponseMemory, ResponseStore
from portbroker.metrics import Meter
from portbroker.relay import Relay
from portbroker.request import Request
from portbroker.snapshot import ENDPOINT_ROUTES, Route, Snapshot
from portbroker.status import Status
from portbroker.upstream import Upstream
from portbroker.usage import CallLog, Exchange
from portbroker.wire import Reply, visible

log = logging.getLogger("portbroker")

_ADAPTATIONS_LIMIT = 1024
"""Bytes of the header that lists adaptations."""


class Gateway:
    """Answers calls by the snapshot it holds. Assign `snapshot` to serve another one; `status` tells since when.

    `auth` tells who calls: whoever is on this machine, unless told otherwise. Without `books`, no usage is kept.
    """

    def __init__(self, snapshot: Snapshot, upstream: Upstream, auth: Auth | None = None) -> None:
        self.snapshot = snapshot
        self.auth = auth or Auth(local=True)
        self.books: Books | None = None
        self.status = Status(snapshot.revision, time.time())
        self.draining = False
        self.attempts = Attempts(upstream)
        self.kept: ResponseStore = ResponseMemory()
        self.meter = Meter()
        self._calls = CallLog()

    async def handle(self, request: Request) -> Reply:
        """Carry one call to a provider and its answer back to the client."""
        snapshot = self.snapshot  # read once: a reload must not touch a call under way
        path, _, query = request.raw_path.partition("?")
        if (route := snapshot.routes.get(path)) is None:
            path = side.meant(path, snapshot)
            route = snapshot.routes.get(path) or ENDPOINT_ROUTES.get(path)
        exchange = Exchange(request.method, path, snapshot.revision)
        entry: Entry | None = None
        reply = Reply(request)
        reply.keep_alive = reply.keep_alive and not self.draining
        dialect = route.dialect if route else side.dialect_of(path, request.headers)
        try:
            caller = await self.auth.identify(request.headers, path)
            if route is None or request.method != "POST":
                desk = side.Desk(self.kept, caller, self.attempts.upstream, self.status)
                await side.answer(request, reply, path, snapshot, exchange, desk)
            else:
                call = _parse(await read_body(request), route, request.headers)
                exchange.model, exchange.stream = call.model, call.stream
                entry = self._begin(exchange, reply, caller, route, request.headers)
                caller.check_model(call.model)
                strict = request.headers.get("x-portbroker-strict") == "1"
                asking = Asking(call, route, request.headers, query, strict, caller)
                if call.dialect is OPENAI_RESPONSES:
                    asking.retention = await resume(call, caller.id, self.kept, snapshot.keep)
                carry = self._count if route.endpoint is not None and route.endpoint.counts else self._answer
                await carry(asking, snapshot, exchange, entry, reply)
        except GatewayError as error:
            _refuse(error, dialect, exchange, reply)
        except ConnectionError:
            exchange.partial = True  # the client left; nobody is there to be told
        except Exception:
            # The outermost handler: a fault of ours must neither show a traceback nor leave the client waiting.
            log.exception("a call failed inside the gateway (%s)", exchange.request_id)
            _refuse(GatewayError("the gateway failed; its log has the reason under this request id", status=500),
                    dialect, exchange, reply)  # fmt: skip
        except BaseException:
            exchange.partial = True  # cancelled: the client left, or the server is stopping
            raise
        finally:
            exchange.status = reply.status
            if entry is not None and entry.open:
                self._end(entry, exchange, reply)
            reply.before_last = None  # which holds the reply itself: a call must not wait for the garbage collector
            self.meter.record(exchange, routed=route is not None)
            self._calls.record(exchange)
        return reply

    def _begin(
        self, exchange: Exchange, reply: Reply, caller: Caller, route: Route, headers: Mapping[str, str]
    ) -> Entry | None:
        """The call as the books know it: whatever becomes of it, they have it before its last byte goes out."""
        if self.books is None:
            return None
        client = client_of(headers.get("user-agent"))
        entry = self.books.begin(caller, exchange.path, route.dialect.name, client)
        reply.before_last = partial(self._end, entry, exchange, reply)
        return entry

    def _end(self, entry: Entry | None, exchange: Exchange, reply: Reply, opened: Opened | None = None) -> None:
        exchange.status = reply.status
        if opened is not None:
            _note(exchange, opened.relay)
        if entry is not None and self.books is not None:
            if opened is not None:
                entry.target, entry.counted = opened.target, opened.relay.answering.reading.reported
            self.books.end(entry, exchange)

    async def _count(
        self, asking: Asking, snapshot: Snapshot, exchange: Exchange, entry: Entry | None, reply: Reply
    ) -> None:
        """The provider's own count of tokens; ours where it has none, or cannot be asked."""
        try:
            await self._answer(asking, snapshot, exchange, entry, reply)
        except GatewayError as error:
            refused = isinstance(error, CallError) and error.kind != "not_found"  # a limit, a scope
            if refused or reply.begun or error.kind == "invalid":
                raise
            headers = {**_own_headers(exchange), "x-portbroker-usage": "estimated", "content-type": "application/json"}
            facts = Facts(asking.call, asking.headers, asking.caller.key_name)
            if entry is not None and entry.leave is None and self.books is not None:
                await self.books.admit(entry, facts, list)  # nobody was asked, so that no limit was either
            reply.whole(200, headers, side.dumps(await side.counted(asking.call, facts, snapshot)))

    async def _answer(
        self, asking: Asking, snapshot: Snapshot, exchange: Exchange, entry: Entry | None, reply: Reply
    ) -> None:
        carriage = self.attempts.begin(asking, snapshot, exchange)
        if asking.caller.bounded and entry is not None and self.books is not None:
            await self.books.admit(entry, carriage.facts, carriage.candidates)
        opened = await carriage.open()
        if asking.call.stream:
            exchange.first_content = time.monotonic()
        if entry is not None:
            reply.before_last = partial(self._end, entry, exchange, reply, opened)
        relay = opened.relay
        try:
            headers = _answer_headers(opened, exchange, asking, entry)
            if asking.call.endpoint is not None:
                headers["content-type"] = visible(relay.headers.get("content-type", "application/octet-stream"))
                await relay.deliver(reply, headers)
            elif asking.call.stream:
                headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache",
                            "x-accel-buffering": "no"}  # fmt: skip
                await relay.deliver(reply, headers)
            else:
                if not relay.answering.reading.reported:
                    headers["x-portbroker-usage"] = "estimated"
                headers["content-type"] = "application/json"
                reply.whole(200, headers, relay.opened.result())
        finally:
            if entry is None or entry.open:
                self._end(entry, exchange, reply, opened)
            if not relay.ended:
                relay.cancel()
            opened.close()


def _note(exchange: Exchange, relay: Relay) -> None:
    """What an answer has come to so far."""
    exchange.usage = relay.answering.reading.usage
    exchange.error = relay.error
    exchange.partial = relay.error is not None or not relay.ended


def _parse(raw: bytes, route: Route, headers: Mapping[str, str]) -> Call:
    if route.endpoint is None:
        return parse_call(raw, route.dialect)
    return parse_endpoint_call(raw, route.endpoint, headers.get("content-type", ""))


def _answer_headers(opened: Opened, exchange: Exchange, asking: Asking, entry: Entry | None) -> dict[str, str]:
    """What an answer says of how it came about; limits are those of the key, else those of the one provider, if any."""
    relay, target, client = opened.relay, opened.target, asking.call.dialect.name
    if report := relay.answering.reading.asked.report:
        exchange.adaptations = [str(a) for a in report]
    headers = _own_headers(exchange)
    headers["x-portbroker-provider"] = visible(target.provider.name)
    headers["x-portbroker-model"] = visible(target.model)
    if told := answer_headers(relay.headers, client, alone=opened.alone and not asking.caller.limited):
        headers |= told
    if entry is not None and entry.leave is not None:
        headers |= entry.leave.told(client)
    if exchange.adaptations:
        headers["x-portbroker-adaptations"] = _listed(exchange.adaptations)
    return headers


def _own_headers(exchange: Exchange) -> dict[str, str]:
    headers = {
        "request-id": exchange.request_id,
        "x-request-id": exchange.request_id,
        "x-portbroker-revision": exchange.revision,
    }
    if exchange.attempts:
        headers["x-portbroker-attempts"] = str(len(exchange.attempts))
    return headers


def _listed(adaptations: list[str]) -> str:
    """A list for a header: ASCII, at most 1024 bytes, then how many more there are."""
    shown = ""
    for count, text in enumerate(map(visible, adaptations)):
        longer = f"{shown},{text}" if shown else text
        if len(longer) > _ADAPTATIONS_LIMIT - 8:
            return f"{shown},+{len(adaptations) - count}"
        shown = longer
    return shown


def _refuse(error: GatewayError, dialect: Dialect, exchange: Exchange, reply: Reply) -> None:
    """Answer with an error in the client's dialect."""
    exchange.error = error
    if reply.begun:
        return
    answer = dialect.encode_error(error, exchange.request_id)
    headers = {**answer.headers, **_own_headers(exchange), "content-type": "application/json"}
    if isinstance(error, ProviderError) and error.provider:
        headers["x-portbroker-provider"] = visible(error.provider)
    if isinstance(error, CallError) and error.allow:
        headers["allow"] = ", ".join(error.allow)
    reply.whole(answer.status, headers, side.dumps(answer.body))
