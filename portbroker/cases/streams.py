"""Stream cases: chunks to a provider's bytes, and a client's bytes back to events.

The one rule: what a case shows are parsed events, what runs is bytes; both sides of the translation are crossed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from portbroker.cases.case import CaseError
from portbroker.conversation import Json
from portbroker.dialects import Dialect
from portbroker.sse import SSEParser

Reads = Callable[[bytes], Iterable[bytes]]
"""How a stream, written with LF line ends, reaches the parser."""


def in_one_read(data: bytes) -> Iterable[bytes]:
    """The whole stream at once, as it is."""
    return [data]


def event_by_event(data: bytes) -> Iterable[bytes]:
    """The stream in as many reads as it has events, as models send it."""
    return [event + b"\n\n" for event in data.split(b"\n\n") if event]


def byte_by_byte(line_end: bytes) -> Reads:
    """A stream with other line ends, cut at every byte."""

    def reads(data: bytes) -> Iterator[bytes]:
        changed = data.replace(b"\n", line_end)
        return (changed[at : at + 1] for at in range(len(changed)))

    return reads


def upstream_bytes(chunks: Any, provider: str) -> tuple[bytes, bool]:
    """A provider's stream as it writes it, and whether it ends in a transport error.

    `provider` is the word of a case: `openai` names no events, the others do.
    """
    if not isinstance(chunks, list):
        raise CaseError("the input of a stream case is a list of chunks")
    lines: list[bytes] = []
    for chunk in chunks:
        if isinstance(chunk, dict) and "$drop" in chunk:
            return b"".join(lines), True
        if provider != "openai" and isinstance(chunk, dict):
            lines.append(b"event: %b\n" % str(chunk.get("type", "")).encode())
        lines.append(b"data: %b\n\n" % (chunk.encode() if isinstance(chunk, str) else orjson.dumps(chunk)))
    return b"".join(lines), False


def events_of(reads: Iterable[bytes]) -> list[Json]:
    """What our own parser dispatches for these reads, each with the name and the text of its event."""
    parser = SSEParser()
    found = [event for read in reads for event in parser.feed(read)]
    return [{"event": name, "data": data.decode("utf-8", "replace")} for name, data in (*found, *parser.finish())]


def wire_events(data: bytes, client: Dialect) -> list[Any]:
    """A client's stream as cases write it: chunks and `[DONE]` for chat, events with their names otherwise."""
    parsed = [{"event": event["event"], "data": _document(event["data"])} for event in events_of([data])]
    return [event["data"] for event in parsed] if client.name == "openai.chat" else parsed


def _document(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
