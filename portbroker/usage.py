"""What happened to a call: the exchange, and the one line that may be logged when it ends.

The one rule: recording cannot wait and cannot fail a call; it never holds a body, a header or a key.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from portbroker.conversation import Json, mint
from portbroker.errors import GatewayError

log = logging.getLogger("portbroker.calls")

_LONGEST_LINE = 2000
_LONGEST_REASON = 200


@dataclass(slots=True)
class AttemptRecord:
    """One try on one target. `seconds` until it had an answer or failed.

    `outcome` is `ok`, the kind of error, or `cancelled` for one that another answer came before. `key` is the name of
    the credential, where there are several; `why` is what the try was for.
    """

    provider: str
    model: str
    outcome: str = "ok"
    status: int = 0
    seconds: float = 0.0
    message: str = ""
    key: str = ""
    why: str = "first"

    def __str__(self) -> str:
        where = f"{self.provider}/{self.model}" + (f" key {self.key}" if self.key else "")
        if self.outcome == "ok":
            return where
        return f"{where} ({self.outcome}{f' {self.status}' if self.status else ''} after {self.seconds:.3f}s)"

    def fields(self) -> dict[str, object]:
        """What is known of it, by name; what an attempt does not have is left out."""
        said = {"provider": self.provider, "model": self.model, "outcome": self.outcome, "why": self.why}
        more = {"key": self.key, "status": self.status, "message": _short(self.message)}
        return said | {"seconds": round(self.seconds, 6)} | {name: value for name, value in more.items() if value}


@dataclass(slots=True)
class Exchange:
    """The record of one call. Times are seconds of the monotonic clock."""

    method: str
    path: str
    revision: str
    request_id: str = field(default_factory=lambda: mint("req_"))
    began: float = field(default_factory=time.monotonic)
    model: str = ""
    stream: bool = False
    attempts: list[AttemptRecord] = field(default_factory=list)
    adaptations: list[str] = field(default_factory=list)
    usage: Json | None = None
    waited: float = 0.0
    partial: bool = False
    status: int = 0
    first_content: float | None = None
    error: GatewayError | None = None

    @property
    def failed(self) -> bool:
        """Whether somebody who runs the gateway should know: a mistake of the caller is none."""
        return self.status >= 500 or self.partial

    def __str__(self) -> str:
        tried = "".join(f", {a.why}: {a}" if number else str(a) for number, a in enumerate(self.attempts))
        parts = [self.method, self.path, str(self.status or "-"), f"{time.monotonic() - self.began:.3f}s"]
        if self.model:
            parts.append(f"{self.model} -> {tried or 'nobody'}")
        if self.waited:
            parts.append(f"waited={self.waited:.3f}s")
        if self.usage:
            parts.append(f"tokens={self.usage.get('input_tokens', 0)}+{self.usage.get('output_tokens', 0)}")
        if self.partial:
            parts.append("partial")
        if self.adaptations:
            parts.append("adaptations=" + ",".join(self.adaptations[:8]))
        if self.error:
            parts.append(f"error={_short(str(self.error))!r}")
        return f"{_one_line(' '.join(parts))} {self.request_id}"

    def fields(self) -> dict[str, object]:
        """The same for machines: what a call does not have is left out. Times are seconds."""
        said: dict[str, object] = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "seconds": round(time.monotonic() - self.began, 6),
            "revision": self.revision,
        }
        first = None if self.first_content is None else round(self.first_content - self.began, 6)
        more = {
            "model": self.model,
            "stream": self.stream,
            "first_content_seconds": first,
            "waited_seconds": round(self.waited, 6),
            "attempts": [attempt.fields() for attempt in self.attempts],
            "usage": self.usage,
            "partial": self.partial,
            "adaptations": self.adaptations,
            "error": self.error and _short(str(self.error)),
        }
        return said | {name: value for name, value in more.items() if value}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _one_line(text: str) -> str:
    """Words of clients and providers as a line of the log: nothing in them can begin another, or fill the disk."""
    text = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


class CallLog:
    """One line for each call that failed, and for at most `most` a second of those that went well.

    At level DEBUG the others have their line too, at WARNING only what failed. A line costs more than passing on a
    small answer does, and nobody reads thousands a second.
    """

    def __init__(self, most: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._second = 0
        self._shown = 0
        self._left_out = 0

    def record(self, exchange: Exchange) -> None:
        """Log the call, where it ends."""
        if exchange.failed:
            log.warning("%s", exchange)
        elif log.isEnabledFor(logging.INFO) and self._has_room():
            log.info("%s", exchange)

    def _has_room(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            if self._left_out:
                log.info("%d more calls went well", self._left_out)
            self._second, self._shown, self._left_out = second, 0, 0
        if self._shown < self._most or log.isEnabledFor(logging.DEBUG):
            self._shown += 1
            return True
        self._left_out += 1
        return False
