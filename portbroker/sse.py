"""Server-sent events: bytes as they are read, cut anywhere, to whole events.

The one rule: bytes are split at CR, LF and CRLF only and never decoded here, so that a character may be cut by a read
and U+2028 is a character like any other.
"""

from typing import TypeAlias

SSEEvent: TypeAlias = tuple[str | None, bytes]
"""The event's name, None if it has none, and its data."""

MAX_EVENT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class SSETooLarge(ValueError):
    """An event outgrew what may be held in memory; whoever reads a provider turns this into its error."""


class SSEParser:
    """One stream in flight. Each byte is looked at once, however small the reads are.

    What is held between reads is the event that has begun: its name, its data lines, and the pieces of the line that
    has not ended. All of them are empty between two events, and then a read of whole events takes the short way.
    """

    __slots__ = ("_after_cr", "_bom", "_data", "_held", "_limit", "_name", "_pieces")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._bom: bytes | None = b""  # what was read of a possible BOM; None once the stream's start is behind us
        self._after_cr = False  # a CR ended the last line: an LF that follows belongs to it
        self._name: str | None = None
        self._data: list[bytes] = []
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in _data and _pieces

    def feed(self, data: bytes) -> list[SSEEvent]:
        """The events that these bytes complete. Raises `SSETooLarge`."""
        end = len(data) - 2
        if (
            data.startswith(b"data: ")
            and data.find(b"\n") == end <= self._limit
            and data.endswith(b"\n")
            and b"\r" not in data
            and not (self._pieces or self._data or self._after_cr or self._name is not None or self._bom is not None)
        ):
            return [(None, data[6:end])]  # one event of one line, as nearly every read of a model's stream is
        if self._bom is not None:
            data = self._start(data)
        if self._after_cr or b"\r" in data:
            data = self._only_lf(data)
        events: list[SSEEvent] = []
        if self._pieces or self._data or self._name is not None:
            data = self._complete(data, events)
        *whole, rest = data.split(b"\n\n")
        if len(data) > self._limit:
            self._check(max(map(len, whole), default=0))
        for part in whole:
            if part.startswith(b"data: ") and b"\n" not in part:
                events.append((None, part[6:]))
            else:
                self._part(part, events)
        if rest:
            self._hold(rest, events)
        return events

    def finish(self) -> list[SSEEvent]:
        """The stream ended: the event that had begun, if any, although no blank line followed it."""
        events: list[SSEEvent] = []
        if self._bom:
            self._pieces.append(self._bom)
        self._bom = None
        self._line(b"".join(self._pieces), events)
        self._dispatch(events)
        return events

    @property
    def between(self) -> bool:
        """Whether no event has begun whose end is not here."""
        return not (self._pieces or self._data or self._name is not None)

    @property
    def idle(self) -> bool:
        """Whether nothing at all of what was read has a bearing on what comes."""
        return self.between and not self._after_cr and self._bom is None

    def _start(self, data: bytes) -> bytes:
        """The first bytes without a BOM; nothing as long as they may still become one."""
        data = (self._bom or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._bom = data
            return b""
        self._bom = None
        return data.removeprefix(_BOM)

    def _only_lf(self, data: bytes) -> bytes:
        """The same lines, ended by LF. A CR ends its line at once; an LF in the next read is its other half."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete(self, data: bytes, events: list[SSEEvent]) -> bytes:
        """What follows the end of the event that had begun; it is held further if its end is not here."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._grow(data[start:end])
            line = b"".join(self._pieces)
            start = end + 1
            self._line(line, events)
            if not line:
                return data[start:]
        if start < len(data):
            self._grow(data[start:])
        return b""

    def _part(self, part: bytes, events: list[SSEEvent]) -> None:
        """Dispatch what stands between two blank lines."""
        head, _, rest = part.partition(b"\n")
        if head.startswith(b"event: ") and rest.startswith(b"data: ") and b"\n" not in rest:
            events.append((head[7:].decode(errors="replace") or None, rest[6:]))
            return
        for line in part.split(b"\n"):
            self._line(line, events)
        self._dispatch(events)

    def _hold(self, rest: bytes, events: list[SSEEvent]) -> None:
        """Keep an event whose end was not read."""
        *lines, last = rest.split(b"\n")
        for line in lines:
            self._grow(line)
            self._line(line, events)
        if last:
            self._grow(last)

    def _grow(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        self._check(self._held)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise SSETooLarge(f"an event of the stream is larger than {self._limit} bytes")

    def _line(self, line: bytes, events: list[SSEEvent]) -> None:
        """Take one whole line, which is also what `_pieces` held."""
        self._pieces.clear()
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace") or None
        else:  # a comment, `id`, `retry`: nothing is kept
            self._held -= len(line)

    def _dispatch(self, events: list[SSEEvent]) -> None:
        if self._data:
            events.append((self._name, b"\n".join(self._data)))
            self._data.clear()
        self._name = None
        self._held = 0
