"""The life of a call, top to bottom: start reading here.

    route -> parse -> resolve the model to a pool -> order its targets -> for each: translate, send, wait for
          something good (all this in `attempts`) -> relay -> record

The one rule: a call is tried again only before its first byte has gone out, and only in `Attempts.open`.
"""

import logging
import time
from collections.abc import Mapping

from portbroker import side
from portbroker.attempts import Asking, Attempts, Opened
from portbroker.auth import refuse_strangers
from portbroker.call import Call, parse_call, parse_endpoint_call
from portbroker.dialects import Dialect
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.headers import answer_headers
from portbroker.intake import read_body
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
    """Answers calls by the snapshot it holds. Assign `snapshot` to serve another one; `status` tells since when."""

    def __init__(self, snapshot: Snapshot, upstream: Upstream) -> None:
        self.snapshot = snapshot
        self.status = Status(snapshot.revision, time.time())
        self.draining = False
        self.attempts = Attempts(upstream)
        self._calls = CallLog()

    async def handle(self, request: Request) -> Reply:
        """Carry one call to a provider and its answer back to the client."""
        snapshot = self.snapshot  # read once: a reload must not touch a call under way
        path, _, query = request.raw_path.partition("?")
        if (route := snapshot.routes.get(path)) is None:
            path = side.meant(path, snapshot)
            route = snapshot.routes.get(path) or ENDPOINT_ROUTES.get(path)
        exchange = Exchange(request.method, path, snapshot.revision)
        reply = Reply(request)
        reply.keep_alive = reply.keep_alive and not self.draining
        dialect = route.dialect if route else side.dialect_of(path, request.headers)
        try:
            refuse_strangers(request.headers)
            if route is None or request.method != "POST":
                side.answer(request, reply, path, snapshot, exchange, self.status)
            else:
                call = _parse(await read_body(request), route, request.headers)
                exchange.model, exchange.stream = call.model, call.stream
                strict = request.headers.get("x-portbroker-strict") == "1"
                asking = Asking(call, route, request.headers, query, strict)
                carry = self._count if route.endpoint is not None and route.endpoint.counts else self._answer
                await carry(asking, snapshot, exchange, reply)
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
            self._calls.record(exchange)
        return reply

    async def _count(self, asking: Asking, snapshot: Snapshot, exchange: Exchange, reply: Reply) -> None:
        """The provider's own count of tokens; ours where it has none, or cannot be asked."""
        try:
            await self._answer(asking, snapshot, exchange, reply)
        except GatewayError as error:
            if reply.begun or error.kind == "invalid":
                raise
            headers = {**_own_headers(exchange), "x-portbroker-usage": "estimated", "content-type": "application/json"}
            reply.whole(200, headers, side.dumps(side.counted(asking.call)))

    async def _answer(self, asking: Asking, snapshot: Snapshot, exchange: Exchange, reply: Reply) -> None:
        opened = await self.attempts.open(asking, snapshot, exchange)
        relay = opened.relay
        try:
            headers = _answer_headers(opened, exchange, client=asking.call.dialect.name)
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
            exchange.usage = relay.answering.reading.usage
            exchange.error = relay.error
            exchange.partial = relay.error is not None or not relay.ended
            if not relay.ended:
                relay.cancel()
            opened.close()


def _parse(raw: bytes, route: Route, headers: Mapping[str, str]) -> Call:
    if route.endpoint is None:
        return parse_call(raw, route.dialect)
    return parse_endpoint_call(raw, route.endpoint, headers.get("content-type", ""))


def _answer_headers(opened: Opened, exchange: Exchange, *, client: str) -> dict[str, str]:
    """What an answer says of how it came about; the provider's rate limits only when one provider serves the client."""
    relay, target = opened.relay, opened.target
    if report := relay.answering.reading.asked.report:
        exchange.adaptations = [str(a) for a in report]
    headers = _own_headers(exchange)
    headers |= answer_headers(relay.headers, client, alone=opened.alone)
    headers["x-portbroker-provider"] = visible(target.provider.name)
    headers["x-portbroker-model"] = visible(target.model)
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
