"""What happened to a call: the exchange, and the one line that is logged when it ends.

The one rule: recording cannot wait and cannot fail a call; it never holds a body, a header or a key.
"""

import logging
import time
from dataclasses import dataclass, field

from portbroker.conversation import Json, mint
from portbroker.errors import GatewayError

log = logging.getLogger("portbroker.calls")


@dataclass(slots=True)
class AttemptRecord:
    """One try on one target. `seconds` until it had an answer or failed; `outcome` is `ok` or the kind of error."""

    provider: str
    model: str
    outcome: str = "ok"
    status: int = 0
    seconds: float = 0.0
    message: str = ""


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
    partial: bool = False
    status: int = 0
    first_content: float | None = None
    error: GatewayError | None = None

    def record(self) -> None:
        """Log the call, where it ends."""
        if log.isEnabledFor(logging.INFO):
            level = logging.INFO if self.status < 500 and not self.partial else logging.WARNING
            log.log(level, "%s", self)

    def __str__(self) -> str:
        tried = " then ".join(
            f"{a.provider}/{a.model}"
            + (f" ({a.outcome}{f' {a.status}' if a.status else ''})" if a.outcome != "ok" else "")
            for a in self.attempts
        )
        parts = [self.method, self.path, str(self.status or "-"), f"{time.monotonic() - self.began:.3f}s"]
        if self.model:
            parts.append(f"{self.model} -> {tried or 'nobody'}")
        if self.usage:
            parts.append(f"tokens={self.usage.get('input_tokens', 0)}+{self.usage.get('output_tokens', 0)}")
        if self.partial:
            parts.append("partial")
        if self.adaptations:
            parts.append("adaptations=" + ",".join(self.adaptations[:8]))
        if self.error:
            parts.append(f"error={str(self.error)[:200]!r}")
        return " ".join([*parts, self.request_id])
