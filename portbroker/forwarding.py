"""A call of an endpoint as bytes: the body that goes to a target, and the answer as it came.

Both are the client's and the provider's own, but for the model. The one rule: an answer is looked at for usage and
faults and never changed; one that breaks off is never made to look whole.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from operator import and_
from typing import Any

import orjson

from portbroker.call import Call
from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects import StreamDecoder
from portbroker.dialects.faults import holds_fault, read_error_response, read_fault
from portbroker.dialects.refrain import More
from portbroker.dialects.splice import with_model
from portbroker.dialects.usage import canonical_usage, count
from portbroker.endpoints import Endpoint
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.fieldmap import RuleContext
from portbroker.snapshot import Pool, Target
from portbroker.sse import SSEParser, SSETooLarge
from portbroker.translate import Asked, Reading

_EVENT_STARTS = (b"data:", b"event:", b":", b"id:")


def forward(call: Call, target: Target, request_id: str) -> tuple[bytes, "Forwarding"]:
    """The body for `target`, and what its answer is looked at with."""
    rules = RuleContext(model=target.model, requested_model=call.model, provider=target.provider.name)
    context = AnswerContext(estimator=call.estimate)
    return _body(call, target), Forwarding(Asked(call, target, rules, context, Report(), request_id))


def _body(call: Call, target: Target) -> bytes:
    if call.form is not None:
        start, end = call.form.model
        return b"".join((call.raw[:start], target.model.encode(), call.raw[end:]))
    if call.dialect is target.dialect and call.endpoint is not None and call.endpoint.of_calls:
        return call.dialect.pass_request(call.raw, call.body, target.model, target.fieldmap.options)
    return with_model(call.raw, call.body, target.model)


class _Blind:
    """What stands for a decoder where nothing is decoded: nobody knows of an end before it comes."""

    finished = False
    finishing = False
    usage = None


class _Look(Reading):
    """A look at an answer; `note` keeps what the provider counted."""

    @cached_property
    def decoder(self) -> StreamDecoder:
        return _Blind()  # type: ignore[return-value]  # nothing is ever fed to it

    def note(self, document: Any) -> None:
        """Keep the usage of a document that tells any. Raises `ProviderError` for one that is an error."""
        if not isinstance(document, dict):
            return
        if holds_fault(document):
            target = self.asked.target
            raise read_fault(200, document, provider=target.provider.name, classify=None, secrets=target.secrets)
        if (usage := _usage(document.get("usage"))) is not None:
            self._whole_usage = usage
            self.reported = True


def _is_count(document: Any) -> bool:
    return isinstance(document, dict) and count(document.get("input_tokens")) is not None


def _usage(usage: Any) -> Json | None:
    """What was counted, in either of the ways that OpenAI's endpoints have, or as a total alone."""
    if not isinstance(usage, dict):
        return None
    given = count(usage.get("prompt_tokens", usage.get("input_tokens")))
    output = count(usage.get("completion_tokens", usage.get("output_tokens")))
    if given is None and output is None:
        given = count(usage.get("total_tokens"))
    return None if given is None and output is None else canonical_usage(given or 0, output or 0, 0, 0, 0, None)


class Forwarding:
    """An answer on its way: see `Answering`. It may be JSON, a stream of events, or anything else."""

    def __init__(self, asked: Asked) -> None:
        self.reading: Reading = (look := _Look(asked))
        self._look = look
        self.content = False
        self.over = False
        self.fault: ProviderError | None = None
        self.told = False
        self.more: More | None = None
        self._parser: SSEParser | None = None

    def whole(self, body: bytes) -> bytes:
        target, endpoint = self._look.asked.target, self._look.asked.call.endpoint
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise read_error_response(200, {}, body, target.provider.name, secrets=target.secrets) from None
        self._look.note(document)
        if endpoint is not None and endpoint.counts and not _is_count(document):
            raise ProviderError("the provider's answer is no count of tokens", provider=target.provider.name)
        return body

    def unstreamed(self, body: bytes) -> bytes:
        return self.whole(body)

    def feed(self, data: bytes) -> bytes:
        if not self.content and data.lstrip().startswith(_EVENT_STARTS):
            self._parser = SSEParser()
        self.reading.events += 1
        if self._parser is not None:
            self._read(self._parser, data)
        self.content = self.content or self.fault is None
        return b"" if self.fault is not None else data

    def _read(self, parser: SSEParser, data: bytes) -> None:
        try:
            events = parser.feed(data)
        except SSETooLarge:
            self._parser = None  # it is the client's to read, and there is no usage to be had
            return
        for _, payload in events:
            if not self.content or b'"usage"' in payload:
                self._note(payload)

    def _note(self, payload: bytes) -> None:
        try:
            self._look.note(orjson.loads(payload))
        except orjson.JSONDecodeError:
            return
        except ProviderError as error:
            if not self.content:  # once something has gone out, the error is the client's to read
                self.fault = error

    def end(self) -> bytes:
        self.content = True  # an empty answer may be a good one: what was said in a silent recording
        return b""

    def fail(self, error: GatewayError) -> bytes | None:
        if self._parser is None:
            return None
        return b"data: " + orjson.dumps(self.reading.asked.call.dialect.encode_error(error, "").body) + b"\n\n"

    def ping(self) -> bytes:
        return b": ping\n\n" if self._parser is not None else b""


def having(endpoint: Endpoint, targets: Sequence[Target], pool: Pool) -> Sequence[Target]:
    """Those of the targets whose providers have the endpoint; of a count, only those that are asked first anyway.

    Raises `CallError` (404) when there is none.
    """
    has = [endpoint.name in target.provider.endpoints for target in targets]
    if endpoint.counts:  # what another provider counts, whom the call would not reach, says nothing
        has = list(accumulate(has, and_))
    found = [target for target, there in zip(targets, has, strict=True) if there]
    if not found:
        asked = ", ".join(dict.fromkeys(target.provider.name for target in targets))
        raise CallError(
            f"{asked} has no {endpoint.name} ({pool.why}): call a model of a provider that has it, or say so in the "
            f"file, with `endpoints: [{endpoint.name}]` under the provider",
            kind="not_found",
            status=404,
            param="model",
            code="endpoint_not_found",
        )
    return found
