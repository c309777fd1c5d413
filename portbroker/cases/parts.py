"""The pieces of the gateway that a case goes through, put together for one case.

The one rule: nothing is translated here; whatever a call goes through is called, not copied.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from portbroker.call import Call
from portbroker.cases.case import Case, CaseError
from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects import Dialect
from portbroker.dialects.faults import read_error_response
from portbroker.errors import GatewayError, ProviderError
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.effective import Where, build
from portbroker.fieldmap.fragments import Facts, Fragment
from portbroker.fieldmap.problems import RulesError
from portbroker.fieldmap.rules import compile_rules
from portbroker.headers import answer_headers, fixed_headers, fold
from portbroker.origin import Origin, Timeouts
from portbroker.snapshot import Credential, Provider, Target
from portbroker.translate import Asked, Passing, Translating, is_anthropic_passthrough, upstream_headers

REQUEST_ID: Final = "req_case"
OWN_HEADERS: Final = {"content-type": "application/json", "request-id": REQUEST_ID, "x-request-id": REQUEST_ID}
_BASE_URL: Final = "http://127.0.0.1:9/v1"


def plain_target(dialect: Dialect, options: Options, model: str = "", key: str = "") -> Target:
    """A provider that is the plain dialect but for these options."""
    given = options.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    fragment = Fragment("case", dialect=dialect.name, options=given)
    fieldmap = build("case", [fragment], Facts(), Where("case", _BASE_URL, model))
    auth = {fieldmap.auth.header: fieldmap.auth.value.replace("${key}", key)}
    return Target(
        name="case",
        provider=_provider(),
        model=model,
        dialect=dialect,
        fieldmap=fieldmap,
        origin=Origin("http", "127.0.0.1", 9),
        path=f"/v1{dialect.path}",
        credentials=(Credential("", "-", fixed_headers(dialect.name, auth)),),
        secrets=(),
        origin_hash="",
    )


def _provider() -> Provider:
    return Provider(
        name="case",
        provider_type="custom",
        base_url=_BASE_URL,
        priority=1,
        active=True,
        reason="",
        timeouts=Timeouts(),
        on_loss="report",
        tiers={},
        headers={},
        models=(),
        lists=lambda _: True,
        pass_client_credentials=False,
    )


def answering(case: Case, provider: Dialect, client: Dialect) -> Passing | Translating:
    """What turns the provider's answer into the client's, knowing of the call what the case's options say."""
    target = plain_target(provider, case.options)
    asked = Asked(_call(client), target, RuleContext(), case.answer, Report(), REQUEST_ID)
    if provider is client:
        return Passing(asked, swallow_usage=client.name == "openai.chat" and not case.answer.include_usage)
    return Translating(asked)


def _call(client: Dialect) -> Call:
    return Call(raw=b"{}", body={}, model="", stream=True, dialect=client)


def relay(answer: Passing | Translating, reads: Iterable[bytes], *, dropped: bool) -> bytes:
    """All that a client is sent for these reads; `dropped` says that they ended in a transport error."""
    out: list[bytes] = []
    for read in reads:
        out.append(answer.feed(read))
        if answer.fault is not None:
            break
    else:
        if dropped and not answer.reading.decoder.finishing:
            answer.fault = ProviderError("the connection to the provider was lost")
        else:
            out.append(answer.end())
    if answer.fault is not None and not answer.told:
        out.append(answer.fail(answer.fault) or b"")
    return b"".join(out)


def success_body(given: Json) -> bytes:
    """The body of a provider's answer; raises what the gateway would for anything but a success."""
    if transport := given.get("$transport_error"):
        kind: Any = "timeout" if "timeout" in str(transport) else "api"
        raise ProviderError(f"the provider could not be reached ({transport})", kind=kind)
    status = given["$status"]
    if not isinstance(status, int):
        raise CaseError("$status is a number, or null with $transport_error")
    body = str(given["$raw"]).encode() if "$raw" in given else orjson.dumps(given.get("$body"))
    if not 200 <= status < 300:
        raise read_error_response(status, fold((given.get("$headers") or {}).items()), body, "case")
    return body


def error_answer(client: Dialect, error: GatewayError) -> Json:
    """An error as the client sees it."""
    answer = client.encode_error(error, REQUEST_ID)
    return {"$status": answer.status, "$headers": OWN_HEADERS | dict(answer.headers), "$body": answer.body}


def sent_head(given: Json, client: Dialect, provider: Dialect, options: Options) -> Json:
    """Path and headers of what the provider would be sent."""
    sent = fold(given["$headers"].items())
    target = plain_target(provider, options, key=given.get("$provider_key", ""))
    call = _call(client)
    _, _, query = str(given.get("$path", "")).partition("?")
    path = target.path_with(query if is_anthropic_passthrough(target, call) else "")
    return {"$path": path, "$headers": dict(upstream_headers(target, call, sent, target.credentials[0]))}


def told_headers(given: Json, client: Dialect) -> dict[str, str]:
    """The headers of a whole answer, as the client gets them."""
    told = answer_headers(fold((given.get("$headers") or {}).items()), client.name)
    return told | OWN_HEADERS


def run_rules(rules: Any, body: Any, context: Any, report: Report) -> Json:
    """A document after rules of a field map."""
    try:
        return compile_rules(rules)(body, RuleContext(**context), report)
    except (RulesError, TypeError) as error:
        raise CaseError(f"$rules: {error}") from error
