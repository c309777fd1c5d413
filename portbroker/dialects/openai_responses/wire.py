"""The events of one answer as bytes, numbered without gaps.

The one rule: nothing else writes an event, so that no number is skipped or given twice.
"""

from portbroker.conversation import Json
from portbroker.dialects.openai_responses.told_response import dumps


class Wire:
    """What is to be sent, until it is taken."""

    __slots__ = ("_number", "_pieces")

    def __init__(self) -> None:
        self._number = 0
        self._pieces: list[bytes] = []

    def take(self) -> bytes:
        """All that was told since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def tell(self, kind: str, fields: Json) -> None:
        """One event; `kind` is its type without `response.`."""
        self.tell_raw(kind, dumps(fields)[1:])

    def tell_response(self, kind: str, response: bytes) -> None:
        """One event that carries the response object."""
        self.tell_raw(kind, b'"response":' + response + b"}")

    def tell_raw(self, kind: str, rest: bytes) -> None:
        """One event whose fields are JSON already, but for the opening brace."""
        name = kind.encode()
        head = b'event: response.%b\ndata: {"type":"response.%b","sequence_number":%d,' % (name, name, self._number)
        self._number += 1
        self._pieces.append(head + rest + b"\n\n")
