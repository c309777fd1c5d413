"""What the transport promises to those who send through it.

The interface pushes: the relay hands over a `Sink` and is called with bytes as they arrive, so that a stream goes from
socket to socket without a task waking per event. The one rule: an answer is bytes here; what they mean is the sink's
business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from portbroker.errors import ProviderError
from portbroker.origin import Origin, Timeouts


@dataclass(slots=True)  # not frozen: made for each call, and frozen ones take five times as long
class UpstreamRequest:
    """One request, ready to be written. `target` is path and query.

    What belongs to the transport (host, content-length, accept-encoding, connection and the like) is written by it,
    and left out where `headers` hold it. `lasting` says that `headers` is the same object call after call, and is never
    changed: then its lines are written once.
    """

    origin: Origin
    target: str
    headers: Mapping[str, str]
    body: bytes
    timeouts: Timeouts = field(default_factory=Timeouts)
    provider: str = ""
    method: str = "POST"
    lasting: bool = False


class Attempt(Protocol):
    """A request under way. `sent_at` is the loop's time when it began to be written."""

    sent_at: float

    def pause(self) -> None:
        """Stop reading from the provider: the client is slow."""

    def resume(self) -> None: ...
    def progress(self) -> None:
        """A real event arrived: the idle time starts anew. Comments and pings must not call this.

        Nothing else resets it, so for a body that is no stream of events call it with every piece.
        """

    def cancel(self) -> None:
        """Nobody wants the answer: close the connection at once. The sink is not called again."""


class Sink(Protocol):
    """Where an answer goes as it arrives. Called from the event loop; must not block and must not raise.

    `head` once, then `data` any number of times, then exactly one of `end` and `fail`; `fail` may also come first.
    """

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Names in lower case; several values of one name joined by `, `."""

    def data(self, data: bytes) -> None: ...
    def end(self) -> None:
        """The body is complete, as far as HTTP can tell."""

    def fail(self, error: ProviderError) -> None: ...


class Upstream(Protocol):
    """Connections to providers, kept by origin."""

    def send(self, request: UpstreamRequest, sink: Sink) -> Attempt:
        """Begin an attempt; everything that follows goes to `sink`, never before this returns."""

    async def close(self) -> None: ...
