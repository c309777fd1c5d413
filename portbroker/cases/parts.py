"""The pieces of the gateway that a case goes through, put together for one case.

The one rule: nothing is translated here; whatever a call goes through is called, not copied.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from portbroker.cases.case import Case, CaseError
from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects import Dialect
from portbroker.errors import GatewayError, ProviderError
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.params import dialect_params
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.rules import compile_rules
from portbroker.sse import SSEParser


def upstream_body(body: Json, client: Dialect, provider: Dialect, options: Options, report: Report) -> Json:
    """What a provider with these options would be sent."""
    if client is provider:
        passed: Json = orjson.loads(client.pass_request(orjson.dumps(body), body, body.get("model", ""), options))
        return passed
    conversation = client.decode_request(body, report)
    upstream, _ = provider.encode_request(conversation, options, dialect_params(provider.name, options), report)
    return upstream


def whole_answer(case: Case, body: Json, provider: Dialect, client: Dialect, report: Report) -> Json:
    """The client's body for a provider's."""
    answer = provider.decode_answer(body, case.answer, report)
    return body if client is provider else client.encode_answer(answer, case.answer, report)


def relayed(case: Case, reads: Iterable[bytes], provider: Dialect, client: Dialect, report: Report, cut: bool) -> bytes:
    """All that a client is sent for these reads; `cut` says that they ended in a transport error."""
    decoder, encoder = provider.stream_decoder(case.answer, report), client.stream_encoder(case.answer, report)
    parser = SSEParser()
    out: list[bytes] = []

    def take(payloads: Iterable[tuple[str | None, bytes]]) -> None:
        for _, payload in payloads:
            events = decoder.done() if payload.strip() == b"[DONE]" else decoder.feed(orjson.loads(payload))
            out.extend(encoder.feed(event) for event in events)

    try:
        for read in reads:
            take(parser.feed(read))
        if cut and not decoder.finishing:
            raise ProviderError("the connection to the provider was lost")
        take(parser.finish())
        out.extend(encoder.feed(event) for event in decoder.finish())
    except GatewayError as error:
        out.append(encoder.fail(error, "req_case"))
    return b"".join(out)


def success_body(given: Json, provider: Dialect) -> Json:
    """The body of a provider's answer; raises what the gateway would for anything but a success."""
    if transport := given.get("$transport_error"):
        kind = "timeout" if "timeout" in transport else "api"
        raise ProviderError(f"the provider could not be reached ({transport})", kind=kind)
    status = given["$status"]
    headers = {name.lower(): value for name, value in (given.get("$headers") or {}).items()}
    raw = given["$raw"].encode() if "$raw" in given else orjson.dumps(given.get("$body"))
    if not 200 <= status < 300:
        from portbroker.dialects.faults import read_error_response

        raise read_error_response(status, headers, raw, "the provider")
    body: Json = orjson.loads(raw)
    return body


def error_answer(client: Dialect, error: GatewayError, request_id: str) -> Json:
    """An error as the client sees it."""
    answer = client.encode_error(error, request_id)
    ids = {"content-type": "application/json", "request-id": request_id, "x-request-id": request_id}
    return {"$status": answer.status, "$headers": ids | dict(answer.headers), "$body": answer.body}


def upstream_headers(given: Json, client: Dialect, provider: Dialect, options: Options) -> Any:
    """The headers that the provider would be sent."""
    raise CaseError("header cases need a snapshot")


def run_rules(rules: Any, body: Any, context: Any, report: Report) -> Json:
    """A document after rules of a field map."""
    try:
        return compile_rules(rules)(body, RuleContext(**context), report)
    except (RulesError, TypeError) as error:
        raise CaseError(f"$rules: {error}") from error
