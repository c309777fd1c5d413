"""The life of an admin call: match -> sign in -> check -> answer.

The one rule: nothing happens for a call before it is known who asks; what is not open is closed, paths that do not
exist included.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from portbroker.admin.endpoints import JSON, NOBODY, Answer, Asked, Endpoint, Refusal, Who
from portbroker.admin.forms import read_form, read_query
from portbroker.admin.openapi import description
from portbroker.admin.signin import SignIn, refuse_other_sites
from portbroker.admin.table import Found, Table
from portbroker.conversation import mint
from portbroker.errors import CallError, Conflict, GatewayError, StoreDown, StoreError
from portbroker.gateway import Gateway
from portbroker.headers import fold
from portbroker.intake import read_body
from portbroker.request import Request
from portbroker.wire import Reply

log = logging.getLogger("portbroker.admin")

MAX_BODY = 256 * 1024
"""Bytes of the body of an admin call."""
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Api:
    """Answers admin calls by its table, beside a gateway that answers all others."""

    def __init__(self, endpoints: Iterable[Endpoint], sign_in: SignIn, gateway: Gateway) -> None:
        self.table = Table([*endpoints, self._openapi()])
        self._sign_in = sign_in
        self._gateway = gateway
        self._described: bytes | None = None

    async def handle(self, request: Request) -> Reply:
        """Carry out one admin call. Whatever happens, it is answered, and never with a secret."""
        request_id = mint("req_")
        reply = Reply(request)
        reply.keep_alive = reply.keep_alive and not self._gateway.draining
        try:
            answer = await self._answer(request, request_id)
        except Refusal as refusal:
            answer = _refused(refusal, request_id)
        except GatewayError as error:  # a body that is too large, too slow, or damaged
            answer = _refused(_of_gateway(error), request_id)
        except StoreError as error:
            answer = _refused(_of_store(error), request_id)
        except ConnectionError:
            return reply  # the client left; nobody is there to be told
        except Exception:
            # The outermost handler: a fault of ours must neither show a traceback nor leave the client waiting.
            log.exception("an admin call failed inside the gateway (%s)", request_id)
            message = "the gateway failed; its log has the reason under this request id"
            answer = _refused(Refusal(500, "api", message), request_id)
        headers = {"content-type": answer.content_type, **_ALWAYS, "request-id": request_id, "x-request-id": request_id,
                   "x-portbroker-revision": self._gateway.snapshot.revision, **answer.headers}  # fmt: skip
        reply.whole(answer.status, headers, answer.content())
        return reply

    async def _answer(self, request: Request, request_id: str) -> Answer:
        path, _, query = request.raw_path.partition("?")
        found = self.table.find(path)
        endpoint = found.methods.get(request.method) if found else None
        headers = fold(request.headers.items())
        if request.method != "GET":
            refuse_other_sites(headers)
        remote = request.remote
        is_open = endpoint is not None and endpoint.open
        who = NOBODY if is_open else await self._sign_in.identify(headers, remote)
        if found is None:
            raise Refusal(404, "not_found", f"{path[:200]} is not served here; /admin/openapi.json lists what is")
        if endpoint is None:
            raise _wrong_method(request.method, found)
        body = await read_body(request, MAX_BODY)
        return await carried_out(endpoint, found, Told(who, request_id, headers, remote), query, body)

    def _openapi(self) -> Endpoint:
        async def openapi(_: Asked) -> Answer:
            if self._described is None:  # in a thread: streams must not wait for it
                self._described = await asyncio.to_thread(lambda: orjson.dumps(description(self.table)))
            return Answer(self._described)

        return Endpoint("GET", "/admin/openapi.json", openapi, "This description.", {200: None}, tag="about")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a call besides what it asks."""

    who: Who
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    remote: str = ""


async def carried_out(endpoint: Endpoint, found: Found, told: Told, query: str, body: bytes) -> Answer:
    """What the endpoint gives, once query and body are what it takes. Raises `Refusal`."""
    asked = Asked(
        told.who, told.request_id, found.params, told.headers, told.remote,
        read_query(endpoint.query, query), _body(endpoint, body),
    )  # fmt: skip
    return await endpoint.handle(asked)


def _body(endpoint: Endpoint, body: bytes) -> object:
    if endpoint.body is not None:
        return read_form(endpoint.body, body)
    if body.strip() not in (b"", b"{}"):
        raise Refusal(422, "invalid", "this takes no body")
    return None


def _wrong_method(method: str, found: Found) -> Refusal:
    allowed = ", ".join(sorted(found.methods))
    return Refusal(405, "invalid", f"{method} is not possible here; use {allowed}", headers={"allow": allowed})


def _of_gateway(error: GatewayError) -> Refusal:
    headers = {"allow": ", ".join(error.allow)} if isinstance(error, CallError) and error.allow else {}
    return Refusal(error.status or 500, error.kind, error.message, error.param, {**error.headers, **headers})


def _of_store(error: StoreError) -> Refusal:
    if isinstance(error, StoreDown):
        return Refusal(503, "overloaded", f"the database cannot be used now: {error}", headers={"retry-after": "2"})
    if isinstance(error, Conflict):
        return Refusal(409, "conflict", str(error))
    return Refusal(422, "invalid", str(error))


def _refused(refusal: Refusal, request_id: str) -> Answer:
    told = {"kind": refusal.kind, "message": refusal.message, "param": refusal.param, "request_id": request_id}
    return Answer(orjson.dumps({"error": {**told, **refusal.more}}), refusal.status, refusal.headers, JSON)
