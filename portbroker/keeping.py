"""Calls of the Responses API that go on from an earlier response, and answers that are kept to be gone on from.

The one rule: what is kept is what the client was told, so that the next call means what its client believes.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from portbroker.call import Call, Native
from portbroker.conversation import Json
from portbroker.dialects.openai_responses.stored import as_items, expand, unknown_response
from portbroker.dialects.refrain import More
from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.kept_responses import KeptResponse, ResponseStore, packed
from portbroker.policy import Keep
from portbroker.sse import SSEParser, SSETooLarge
from portbroker.translate import Answering, Reading

_ENDS = ("response.completed", "response.incomplete")
_MARKS = tuple(end.encode() for end in _ENDS)


@dataclass(frozen=True, slots=True)
class Retention:
    """Where the answer of a call is kept, for whom, and what was asked."""

    store: ResponseStore
    owner: str
    keep: Keep
    asked: bytes

    def add(self, response: Any, provider: str) -> None:
        """Keep a response; `provider` is who knows it under its own id, empty for nobody."""
        name = response.get("id") if isinstance(response, dict) else None
        if isinstance(name, str) and name:
            kept = KeptResponse(name, self.owner, packed(orjson.dumps(response)), self.asked, provider)
            self.store.put(kept, self.keep)


async def resume(call: Call, owner: str, store: ResponseStore, keep: Keep) -> Retention | None:
    """Complete a call by all that was said before it; where its answer is to be kept, if it is.

    Raises `CallError` for an earlier response that the caller is known not to have. Without keys there is one caller,
    and a response that is not known here may still be to the provider.
    """
    previous = call.body.get("previous_response_id")
    if isinstance(previous, str):
        found = await store.get(owner, previous)
        if found is not None:
            _go_on(call, previous, found)
        elif owner:
            raise unknown_response(previous)
    if call.endpoint is not None or call.body.get("store") is False or not keep.most_bytes:
        return None
    call.echo = {**call.echo, "store": True}
    return Retention(store, owner, keep, call.raw)


def _go_on(call: Call, previous: str, found: KeptResponse) -> None:
    """Put what was said in front of what the call says; its own provider gets the call as it came."""
    call.native = Native(found.provider, call.raw, call.body) if found.provider else None
    call.echo = {"previous_response_id": previous}
    call.body = expand(call.body, said(found))
    try:
        call.raw = packed(orjson.dumps(call.body))
    except TypeError as error:  # orjson reads deeper than it writes
        raise CallError("The request body is nested too deeply.") from error


def said(kept: KeptResponse) -> list[Json]:
    """All items of a conversation up to a response. Reasoning that nobody but its provider can read is left out."""
    items = [*asked_items(kept), *orjson.loads(kept.response).get("output", ())]
    return [item for item in items if item.get("type") != "reasoning" or item.get("encrypted_content")]


def asked_items(kept: KeptResponse) -> list[Json]:
    """The items that a response answers."""
    return as_items(orjson.loads(kept.asked).get("input"))


class Keeping:
    """An answer on its way (see `Answering`) that is kept as soon as it is complete."""

    def __init__(self, answering: Answering, retention: Retention, provider: str) -> None:
        self._answering = answering
        self._retention = retention
        self._provider = provider

    @property
    def reading(self) -> Reading:
        return self._answering.reading

    @property
    def content(self) -> bool:
        return self._answering.content

    @property
    def over(self) -> bool:
        return self._answering.over

    @property
    def fault(self) -> ProviderError | None:
        return self._answering.fault

    @property
    def told(self) -> bool:
        return self._answering.told

    @property
    def more(self) -> More | None:
        return self._answering.more  # what only goes on is not what is kept

    def whole(self, body: bytes) -> bytes:
        out = self._answering.whole(body)
        self._retention.add(orjson.loads(out), self._provider)
        return out

    def unstreamed(self, body: bytes) -> bytes:
        return self._look(self._answering.unstreamed(body))

    def feed(self, data: bytes) -> bytes:
        return self._look(self._answering.feed(data))

    def end(self) -> bytes:
        return self._look(self._answering.end())

    def fail(self, error: GatewayError) -> bytes | None:
        return self._answering.fail(error)

    def ping(self) -> bytes:
        return self._answering.ping()

    def _look(self, out: bytes) -> bytes:
        """What goes out, always in whole events; the response stands in the last of them."""
        if any(mark in out for mark in _MARKS):
            try:
                events = SSEParser().feed(out)
            except SSETooLarge:
                return out  # too large to be kept, too
            for _, payload in events:
                if any(mark in payload for mark in _MARKS):
                    self._end(orjson.loads(payload))
        return out

    def _end(self, event: Any) -> None:
        if isinstance(event, dict) and event.get("type") in _ENDS:
            self._retention.add(event.get("response"), self._provider)
