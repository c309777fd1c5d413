"""One attempt as bytes: the body that goes to a target, and what turns the target's answer into the client's.

Two ways, one interface (`Answering`): `Translating` goes through the canonical form, `Passing` relays bytes of the same
dialect and reads a copy. The one rule: no I/O and no clock; of a stream, what was good is never lost with what was not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import orjson

from portbroker.call import Call, Native
from portbroker.conversation import AnswerContext, Conversation, Event, Json, Report, answer_events
from portbroker.dialects import StreamDecoder, StreamEncoder
from portbroker.dialects.faults import holds_fault, read_error_response, read_fault
from portbroker.dialects.refrain import More, Refrain, Refrains
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.fieldmap import RuleContext
from portbroker.headers import caller_auth, fold, passthrough_headers
from portbroker.snapshot import Credential, Target
from portbroker.sse import SSEEvent, SSEParser, SSETooLarge

_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
_SHORTEST_EVENT = 4
_DONE = b"[DONE]"
_GARBAGE_LIMIT = 3
"""Chunks in a row that are not JSON before the stream is given up."""


@dataclass(slots=True)  # not frozen: made for each call, and frozen ones take five times as long
class Asked:
    """What one attempt was asked, for all that reads its answer."""

    call: Call
    target: Target
    rules: RuleContext
    context: AnswerContext
    report: Report
    request_id: str


class Reading:
    """A provider's answer as canonical events, seen through its field map.

    What only a stream needs is made when it is first needed. `events` counts what the provider really said, comments
    aside; `reported` says that a whole answer came with the provider's own usage.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.events = 0
        self.reported = False
        fieldmap = asked.target.fieldmap
        self._rules = fieldmap.stream or None  # asked for every event: what does nothing must cost nothing
        self._classify = fieldmap.errors or None
        self._whole_usage: Json | None = None
        self.garbage = 0  # chunks in a row that are not JSON

    def refrain(self, last: SSEEvent) -> Refrain | None:
        """What is repeated around all that goes on with what was said, once it is known; `last` was read last.

        None as long as rules of the file, or what was read before, have a say in it.
        """
        if self._rules is not None or self._classify is not None or self.garbage or not self.parser.idle:
            return None
        return self._refrains.of(last, self.decoder)

    @cached_property
    def _refrains(self) -> Refrains:
        return Refrains()

    @cached_property
    def parser(self) -> SSEParser:
        return SSEParser()

    @cached_property
    def decoder(self) -> StreamDecoder:
        return self.asked.target.dialect.stream_decoder(self.asked.context, self.asked.report)

    @property
    def usage(self) -> Json | None:
        return self._whole_usage or self.decoder.usage

    def skims(self, payload: bytes) -> bool:
        """Whether the data of one SSE event need not be read, since all that it could say is known at a glance."""
        if self._rules is not None or self._classify is not None or not self.asked.target.dialect.goes_on(payload):
            return False
        self.garbage = 0
        self.events += 1
        return True

    def read(self, payload: bytes) -> list[Event]:
        """The canonical events of one SSE event's data."""
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return self._unreadable(payload)
        self.garbage = 0
        self.events += 1
        if self._rules is not None and isinstance(chunk, dict):
            chunk = self._rules(chunk, self.asked.rules, self.asked.report)
        if self._classify is not None:
            self._refuse_fault(chunk)
        return self.decoder.feed(chunk)

    def _unreadable(self, payload: bytes) -> list[Event]:
        if payload.strip() == _DONE:
            self.garbage = 0
            return self.decoder.done()
        self.garbage += 1
        if self.garbage == _GARBAGE_LIMIT:
            raise ProviderError("the provider's stream is not JSON")
        return []

    def _refuse_fault(self, document: object) -> None:
        """Raises for what the provider's own rules call an error."""
        target, classify = self.asked.target, self._classify
        if classify is not None and isinstance(document, dict) and classify(document, 200):
            raise read_fault(200, document, provider=target.provider.name, classify=classify, secrets=target.secrets)

    def whole(self, body: bytes) -> Json:
        """A provider's whole body as a canonical answer."""
        asked = self.asked
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise read_error_response(200, {}, body, asked.target.provider.name, secrets=asked.target.secrets) from None
        self._refuse_fault(document)
        if not isinstance(document, dict):
            raise ProviderError(f"the provider answered with a JSON {type(document).__name__} instead of an answer")
        if asked.target.fieldmap.response:
            document = asked.target.fieldmap.response(document, asked.rules, asked.report)
        answer = asked.target.dialect.decode_answer(document, asked.context, asked.report)
        self._whole_usage = answer.get("usage")
        self.reported = not answer.get("_estimated")
        return answer


class Answering(Protocol):
    """An answer on its way. `content` turns true when the client has something to see, `over` when it has seen all.

    `fault` is what ended a stream before its time, and `told` says that the client has read of it in the provider's own
    words. `whole` and `unstreamed` raise `ProviderError` instead, for with them nothing has gone out.
    """

    @property
    def reading(self) -> Reading: ...
    @property
    def content(self) -> bool: ...
    @property
    def over(self) -> bool: ...
    @property
    def fault(self) -> ProviderError | None: ...
    @property
    def told(self) -> bool: ...
    @property
    def more(self) -> More | None:
        """What may be tried on what comes before `feed` is: it takes what only goes on with what was said."""

    def whole(self, body: bytes) -> bytes:
        """A complete answer as the client's body."""

    def unstreamed(self, body: bytes) -> bytes:
        """A complete answer as the client's stream, for providers that do not stream although asked."""

    def feed(self, data: bytes) -> bytes: ...
    def end(self) -> bytes:
        """The provider's body ended."""

    def fail(self, error: GatewayError) -> bytes | None:
        """The end of an answer that failed; None for one that can only be broken off."""

    def ping(self) -> bytes: ...


class _Telling:
    """What both ways do alike: tell the client of an error, of silence, and of an answer that came in one piece."""

    def __init__(self, asked: Asked) -> None:
        self.reading = Reading(asked)
        self.content = False
        self.over = False
        self.fault: ProviderError | None = None
        self.told = False
        self.more: More | None = None

    @cached_property
    def encoder(self) -> StreamEncoder:
        asked = self.reading.asked
        return asked.call.dialect.stream_encoder(asked.context, asked.report)

    def unstreamed(self, body: bytes) -> bytes:
        return b"".join([self.encoder.feed(event) for event in answer_events(self.reading.whole(body))])

    def fail(self, error: GatewayError) -> bytes:
        return self.encoder.fail(error, self.reading.asked.request_id)

    def ping(self) -> bytes:
        # Before an answer has begun, its dialect has no event that may stand there.
        return self.encoder.ping() if self.content else b": ping\n\n"


class Translating(_Telling):
    """An answer in another dialect than the client's."""

    def whole(self, body: bytes) -> bytes:
        asked = self.reading.asked
        answer = self.reading.whole(body)
        return orjson.dumps(asked.call.dialect.encode_answer(answer, asked.context, asked.report))

    def feed(self, data: bytes) -> bytes:
        if self.more is not None and (written := self.more(data)) is not None:
            self.reading.events += 1
            return written
        out: list[bytes] = []
        reading = self.reading
        last: SSEEvent = (None, b"")
        try:
            for last in reading.parser.feed(data):
                self._encode(reading.read(last[1]), out)
        except ProviderError as error:
            self.fault = error
        except SSETooLarge as error:
            self.fault = ProviderError(str(error))
        self.over = reading.decoder.finished
        self.more = self._more(last)
        return out[0] if len(out) == 1 else b"".join(out)

    def _more(self, last: SSEEvent) -> More | None:
        """What is to be tried first from now on; `last` was read last."""
        decoder = self.reading.decoder
        if decoder.strand is None or (refrain := self.reading.refrain(last)) is None:
            return None
        return refrain.more(decoder.take, self.encoder.pen(refrain.strand[0], decoder.index))

    def _encode(self, events: list[Event], out: list[bytes]) -> None:
        for event in events:
            if not self.content:
                self.content = _shows(event)
            out.append(self.encoder.feed(event))

    def end(self) -> bytes:
        out: list[bytes] = []
        try:
            for _, payload in self.reading.parser.finish():
                self._encode(self.reading.read(payload), out)
            self._encode(self.reading.decoder.finish(), out)
        except ProviderError as error:
            self.fault = error
        return b"".join(out)


class Passing(_Telling):
    """An answer in the client's own dialect: its bytes as they came, and a copy read for usage and end.

    `swallow_usage`: leave out the usage chunk that the gateway asked for and the client did not.
    """

    def __init__(self, asked: Asked, *, swallow_usage: bool) -> None:
        super().__init__(asked)
        self._swallow = swallow_usage
        self._done_follows = asked.call.dialect.name == "openai.chat"
        self._held = bytearray()  # an event that has begun: should it never end, an error event must not end it

    def whole(self, body: bytes) -> bytes:
        self.reading.whole(body)
        return body

    def feed(self, data: bytes) -> bytes:
        if self.more is not None and self.more(data) is not None:
            self.reading.events += 1
            return data
        try:
            read = self.reading.parser.feed(data)
        except SSETooLarge as error:
            self.fault = ProviderError(str(error))
            return b""
        out = self._look_at(read, data)
        self.more = self._more(read[-1]) if read and self.content and self.fault is None else None
        return out

    def _more(self, last: SSEEvent) -> More | None:
        """What is to be tried first from now on; `last` was read last."""
        decoder = self.reading.decoder
        if decoder.strand is None or (refrain := self.reading.refrain(last)) is None:
            return None
        known = refrain.more(decoder.take, str.encode)
        return lambda data: data if known(data) is not None else None

    def _look_at(self, read: list[tuple[str | None, bytes]], data: bytes) -> bytes:
        """What goes on of `data`, after a look at a copy of the events in it."""
        good = [event for event in read if self._look(event[1])]
        if self._swallow:
            good = [event for event in good if not _is_usage_chunk(event[1])]
        else:
            ended = self._ended_events(data)
            if len(good) == len(read):
                return ended
        return b"".join([_framed(name, payload) for name, payload in good])

    def _ended_events(self, data: bytes) -> bytes:
        """All that has come, up to the end of an event."""
        held = self._held
        between = self.reading.parser.between
        if between and not held:
            return data
        start = max(0, len(held) - 3)
        held += data
        cut = len(held) if between else max(held.rfind(mark, start) + len(mark) for mark in _EVENT_ENDS)
        if cut < _SHORTEST_EVENT:
            return b""
        out = bytes(held[:cut])
        del held[:cut]
        return out

    def _look(self, payload: bytes) -> bool:
        """Read a copy of one event, and tell whether it goes on.

        Once content has gone out, an error event is the client's to read. What its parser could not read is not.
        """
        if self.fault is not None:
            return False
        reading = self.reading
        if self.content and not reading.decoder.finished and reading.skims(payload):
            return True
        try:
            events = reading.read(payload)
        except ProviderError as error:
            self.fault, self.told = error, self.content and _is_fault(payload)
            return self.told
        if not self.content:
            self.content = any(map(_shows, events))
        if reading.decoder.finished:
            self.over = not self._done_follows or payload.strip() == _DONE
        return not reading.garbage

    def end(self) -> bytes:
        unended = bool(self._held)
        rest = self._look_at(self.reading.parser.finish(), b"\n\n" if unended else b"")
        if self.fault is None:
            try:
                rest += self._lacking(self.reading.decoder.finish())
            except ProviderError as error:
                self.fault = error
        return b"" if unended and self.fault is not None else rest

    def _lacking(self, events: list[Event]) -> bytes:
        """The end of an answer that its provider did not give, where clients depend on it."""
        if self._done_follows:
            return b""
        return b"".join([_framed(event["type"], orjson.dumps(event)) for event in events])


def _framed(name: str | None, payload: bytes) -> bytes:
    """An SSE event again; a payload of several lines gets as many data lines."""
    head = b"event: %b\n" % name.encode() if name else b""
    return head + b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n"


def _shows(event: Event) -> bool:
    """Whether a client has something to see: of a text that is its first word, any other block tells by its beginning
    what it is."""
    if event["type"] == "content_block_start":
        block = event["content_block"]
        return bool(block["type"] != "text" or block.get("text"))
    return bool(event["type"] == "content_block_delta")


def _is_fault(payload: bytes) -> bool:
    """Whether an event is an error in its dialect's own form."""
    try:
        return holds_fault(orjson.loads(payload))
    except orjson.JSONDecodeError:
        return False


def _is_usage_chunk(payload: bytes) -> bool:
    """Whether a chat chunk holds nothing but usage."""
    if b'"usage"' not in payload or b'"choices"' not in payload:
        return False
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and bool(chunk.get("usage"))


def prepare(
    call: Call, target: Target, *, strict: bool, request_id: str, created: int, route: str = ""
) -> tuple[bytes, Answering]:
    """The body for `target` and what will turn its answer into the client's.

    `created` is Unix seconds, `route` the path that was called. Raises `CallError` for a call that cannot be put to
    this target: it cannot be read, or it would lose something and the file (or `strict`) refuses loss.
    """
    rules = RuleContext(
        model=target.model,
        requested_model=call.model,
        client=call.dialect.name,
        stream=call.stream,
        provider=target.provider.name,
        route=route,
        options=target.fieldmap.options_view,
    )
    if target.dialect is call.dialect:
        return _pass(call, target, rules, request_id, created)
    conversation, read = call.decoded
    report = Report()
    for adaptation in read:
        report.add(adaptation.code, adaptation.path)
    report.names = conversation.params.get("_names", {})
    conversation, answer = conversation.copy(), conversation.answer.copy()
    answer.created, answer.estimator, answer.origin = created, call.estimate, target.origin_hash
    answer.call_id = request_id.removeprefix("req_")
    conversation.model, conversation.answer = target.model, answer
    body, context = _translate(conversation, target, rules, report)
    if strict and (lost := report.lossy()):
        raise CallError(
            f"{target.provider.name} cannot take this call whole, and loss is refused: "
            + ", ".join(map(str, lost[:10])),
            param=lost[0].path,
            code="translation_loss",
        )
    return orjson.dumps(body), Translating(Asked(call, target, rules, context, report, request_id))


def _translate(
    conversation: Conversation, target: Target, rules: RuleContext, report: Report
) -> tuple[Json, AnswerContext]:
    fieldmap = target.fieldmap

    def params(values: Json, into: Report) -> Json:
        return fieldmap.params(values, rules, into)

    body, context = target.dialect.encode_request(conversation, fieldmap.options, params, report)
    return fieldmap.request(body, rules, report), context


def _pass(call: Call, target: Target, rules: RuleContext, request_id: str, created: int) -> tuple[bytes, Answering]:
    fieldmap = target.fieldmap
    sent: Call | Native = call
    if call.native is not None and call.native.provider == target.provider.name:
        sent = call.native
    raw = call.dialect.pass_request(sent.raw, sent.body, target.model, fieldmap.options)
    report = Report()
    if fieldmap.rules_on_passthrough:
        raw = orjson.dumps(fieldmap.request(orjson.loads(raw), rules, report))
    context = AnswerContext(created=created, estimator=call.estimate)
    swallow = call.dialect.name == "openai.chat" and call.stream and not _wants_usage(call.body)
    return raw, Passing(Asked(call, target, rules, context, report, request_id), swallow_usage=swallow)


def _wants_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def is_anthropic_passthrough(target: Target, call: Call) -> bool:
    """Only there do the client's query, version and betas mean anything to the provider."""
    return target.dialect is call.dialect and call.dialect.name == "anthropic.messages"


def upstream_headers(
    target: Target, call: Call, client: Mapping[str, str], credential: Credential
) -> Mapping[str, str]:
    """What the provider gets: the fixed headers of a key, and of the client's what an allow-list lets through."""
    headers = credential.headers
    if is_anthropic_passthrough(target, call):
        headers = passthrough_headers(headers, fold(client.items()))
    if target.provider.pass_client_credentials:
        headers = {**headers, **caller_auth(fold(client.items()))}
    if call.endpoint is not None:
        headers = {**headers, "accept": "*/*"}  # sound, for one
        if call.form is not None:
            headers["content-type"] = call.form.content_type
    return headers
