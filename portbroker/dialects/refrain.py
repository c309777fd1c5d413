"""What a provider repeats around the text of every chunk of a stream, so that only the text need be read.

The one rule: it finds a text only in bytes that reading as a whole would have found to be the same chunk as the one
that it was learned from, but for that text.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import orjson

from portbroker.dialects import Strand, StreamDecoder
from portbroker.sse import SSEEvent

_MARK: Final = "\u2318 another text"
_MARKED: Final = orjson.dumps(_MARK)
_TRIES: Final = 4


More: TypeAlias = Callable[[bytes], bytes | None]
"""What goes to the client for bytes that only go on with what was said; None for any others."""


class Refrain:
    """The bytes before and after the text in events of one name and one line, both quotes of it included."""

    __slots__ = ("_after", "_before", "strand")

    def __init__(self, strand: Strand, name: str | None, before: bytes, after: bytes) -> None:
        self.strand = strand
        head = b"event: %b\n" % name.encode() if name else b""
        self._before, self._after = head + b"data: " + before, after + b"\n\n"

    def more(self, take: Callable[[str], str], pen: Callable[[str], bytes]) -> More:
        """What puts the text of one whole event that is the same but for it through `take` and `pen`."""
        before, after, loads = self._before, self._after, orjson.loads
        start, end = len(before), -len(after)

        def more(data: bytes) -> bytes | None:
            # This runs for every event of every stream.
            if not (data.startswith(before) and data.endswith(after)):
                return None
            said = data[start:end]
            if b"\n" in said:
                return None  # several events
            try:
                # A string that is whole between these quotes is whole between those of the chunk.
                text: str = loads(b'"%b"' % said)
            except orjson.JSONDecodeError:
                return None
            if not text:
                return None
            return pen(text) if (text := take(text)) else b""

        return more


def learn(event: SSEEvent, decoder: StreamDecoder) -> Refrain | None:
    """The refrain of an event that is plain; None where it is not to be had."""
    name, payload = event
    try:
        plain = decoder.plain(orjson.loads(payload))
        if plain is None:
            return None
        strand, text = plain
        before, quoted, after = payload.partition(orjson.dumps(text))
        # Without them it is written with other escapes than ours; and what they stand in need not be the text.
        other = decoder.plain(orjson.loads(before + _MARKED + after)) if quoted else None
    except orjson.JSONDecodeError:
        return None
    return Refrain(strand, name, before + b'"', b'"' + after) if other == (strand, _MARK) else None


class Refrains:
    """The refrains of one stream, as they are learned; of a provider that has none, few are looked for."""

    __slots__ = ("_known", "_tries")

    def __init__(self) -> None:
        self._known: dict[Strand, Refrain] = {}
        self._tries = _TRIES

    def of(self, last: SSEEvent, decoder: StreamDecoder) -> Refrain | None:
        """The refrain of what the decoder goes on with, which the last event may be an example of."""
        strand = decoder.strand
        if strand is None:
            return None
        if self._tries:
            self._tries -= 1
            learned = learn(last, decoder)
            if learned is not None and learned.strand == strand:
                self._known[strand] = learned
        return self._known.get(strand)
