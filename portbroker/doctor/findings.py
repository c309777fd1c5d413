"""What a look at one thing has found. The one rule: whatever is not good comes with what to do."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["good", "bad", "doubtful", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is whose affair it is (`file`, `gateway`, a provider, a client), `what` a sentence on it.

    `bad`: calls fail for it. `doubtful`: some may. `unknown`: it cannot be told.
    """

    about: str
    state: State
    what: str
    hint: str = ""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def good(about: str, what: str) -> Finding:
    return Finding(about, "good", what)


def bad(about: str, what: str, hint: str) -> Finding:
    return Finding(about, "bad", what, hint)


def doubtful(about: str, what: str, hint: str) -> Finding:
    return Finding(about, "doubtful", what, hint)


def unknown(about: str, what: str) -> Finding:
    return Finding(about, "unknown", what)
