"""Running a translation case through the very functions that serve calls, and telling what differs.

The one rule: a case passes only because something ran; one that cannot be run fails with the reason.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from portbroker.call import parse_call
from portbroker.cases import parts
from portbroker.cases.case import DIALECTS_BY_WORD, Case, CaseError, read_cases
from portbroker.cases.compare import Difference, differences, item_id_differences, subset_differences
from portbroker.cases.streams import Reads, events_of, in_one_read, upstream_bytes, wire_events
from portbroker.conversation import Json, Report
from portbroker.dialects import Dialect
from portbroker.errors import GatewayError
from portbroker.translate import prepare

Probe = Callable[[Json], Json]
"""Puts a case's `$method`, `$path`, … to a running gateway and gives `$status`, `$headers`, `$body` back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case: it passed when there is no difference and no reason why it could not run."""

    name: str
    title: str = ""
    why: str = ""
    differences: tuple[Difference, ...] = ()
    reason: str = ""

    @property
    def passed(self) -> bool:
        return not self.differences and not self.reason


def run_file(path: Path, probe: Probe | None = None) -> Iterator[Outcome]:
    """The outcome of every line of a file."""
    for name, case in read_cases(path):
        yield Outcome(name, reason=str(case)) if isinstance(case, CaseError) else run_case(case, probe)


def run_case(case: Case, probe: Probe | None = None, reads: Reads = in_one_read) -> Outcome:
    """The outcome of one case. `reads` says how an upstream's stream is written and cut into reads."""
    try:
        got, report = _result(case, probe, reads)
    except CaseError as error:
        return Outcome(case.id, case.title, case.why, reason=str(error))
    except Exception as error:  # a fault in one translation is that case's failure, not the end of the run
        return Outcome(case.id, case.title, case.why, reason=f"raised {type(error).__name__}: {error}")
    return Outcome(case.id, case.title, case.why, (*_compared(case, got), *_adaptations(case, report)))


def _result(case: Case, probe: Probe | None, reads: Reads) -> tuple[Any, Report]:
    if not case.source:
        return _field_map(case)
    if case.target == "gateway":
        return _probed(case, probe), Report()
    if isinstance(case.input, dict) and "$sse_reads_b64" in case.input:
        return _sse(case.input["$sse_reads_b64"]), Report()
    source, target = _dialect(case.source), _dialect(case.target)
    if case.kind == "request":
        return _request(case, source, target)
    if case.kind == "response":
        return _response(case, source, target)
    return _stream(case, source, target, reads)


def _dialect(word: str) -> Dialect:
    from portbroker.dialects.registry import DIALECTS  # cases of field maps and framing need none of them

    return DIALECTS[DIALECTS_BY_WORD[word]]


def _field_map(case: Case) -> tuple[Any, Report]:
    if not isinstance(case.input, dict) or not {"$rules", "$body"} <= case.input.keys():
        raise CaseError("the input of a field map case has $rules and $body")
    report = Report()
    return parts.run_rules(case.input["$rules"], case.input["$body"], case.input.get("$ctx") or {}, report), report


def _probed(case: Case, probe: Probe | None) -> Json:
    if probe is None:
        raise CaseError("a gateway probe needs a running gateway")
    if not isinstance(case.input, dict):
        raise CaseError("the input of a gateway probe has $method and $path")
    return probe(case.input)


def _sse(reads: Any) -> Json:
    try:
        decoded = [base64.b64decode(read, validate=True) for read in reads]
    except (TypeError, ValueError) as error:
        raise CaseError(f"$sse_reads_b64: {error}") from error
    return {"$sse_events": events_of(decoded)}


def _request(case: Case, client: Dialect, provider: Dialect) -> tuple[Any, Report]:
    if isinstance(case.input, dict) and "$headers" in case.input:
        head = parts.sent_head(case.input, client, provider, case.options)
        asked = case.expect if isinstance(case.expect, dict) else head
        return {name: value for name, value in head.items() if name in asked}, Report()
    try:
        call = parse_call(orjson.dumps(case.input), client)
        target = parts.plain_target(provider, case.options, call.model)
        body, answering = prepare(call, target, strict=False, request_id=parts.REQUEST_ID, created=0)
    except GatewayError as error:
        return parts.error_answer(client, error), Report()
    return orjson.loads(body), answering.reading.asked.report


def _response(case: Case, provider: Dialect, client: Dialect) -> tuple[Any, Report]:
    explicit = isinstance(case.input, dict) and "$status" in case.input
    answering = parts.answering(case, provider, client)
    report = answering.reading.asked.report
    try:
        body = parts.success_body(case.input) if explicit else orjson.dumps(case.input)
        document = orjson.loads(answering.whole(body))
    except GatewayError as error:
        return parts.error_answer(client, error), report
    if explicit:
        document = {"$status": 200, "$headers": parts.told_headers(case.input, client), "$body": document}
    return document, report


def _stream(case: Case, provider: Dialect, client: Dialect, reads: Reads) -> tuple[list[Any], Report]:
    data, dropped = upstream_bytes(case.input, case.source)
    answering = parts.answering(case, provider, client)
    sent = parts.relay(answering, reads(data), dropped=dropped)
    return wire_events(sent, client), answering.reading.asked.report


def _compared(case: Case, got: Any) -> Iterator[Difference]:
    if case.subset is not None:
        yield from subset_differences(case.subset, got)
    else:
        yield from differences(case.expect, got)
    if case.target == "responses" and case.kind == "stream" and isinstance(got, list):
        yield from item_id_differences(got)


def _adaptations(case: Case, report: Report) -> Iterator[Difference]:
    if case.adaptations is None:
        return
    expected, got = sorted(case.adaptations), sorted(map(str, report))
    if expected != got:
        yield Difference("adaptations", expected, got)
