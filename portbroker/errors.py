"""Everything that can go wrong, as values: what happened, whose fault it is, and whether another target may be tried.

    PortBrokerError
    ├── ConfigError              the file cannot be served; carries every Problem found
    ├── StoreError               the database cannot be used like this; the message says what to do
    │   ├── StoreDown            it cannot be reached, or is too slow: later it may
    │   └── Conflict             somebody else was there first: the name is taken, the row has changed
    └── GatewayError             a call cannot be answered; a dialect turns it into a body
        ├── CallError            the caller's own fault: never tried elsewhere
        └── ProviderError        an attempt failed: tried elsewhere when `retryable`

The one rule: this module imports nothing of ours, and no message in it ever holds a secret.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Kind = Literal[
    "invalid", "auth", "billing", "permission", "not_found", "too_large",
    "context", "rate_limit", "overloaded", "timeout", "refused", "api",
]  # fmt: skip
"""The classes an error may have; a dialect turns one into its own status, type and code (translation table in docs)."""

KINDS: tuple[str, ...] = get_args(Kind)

# Kinds that a caller's own request brought about. Another target would say the same.
_CALLERS_FAULT = frozenset({"invalid", "not_found", "too_large", "context", "refused"})

# Statuses that say "not now" whatever else the body says: time-outs, conflicts, too early, too many.
_NOT_NOW = frozenset({408, 409, 425, 429})


class PortBrokerError(Exception):
    """The root of the tree."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a configuration file, where a person can find it.

    `line` and `column` count from 1; 0 means that the fault is in the file as a whole. `path` is the dotted place in
    the document (`providers[0].base_url`), `hint` says what to do.
    """

    file: str
    line: int
    column: int
    message: str
    path: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{where}: {what}" + (f" ({self.hint})" if self.hint else "")

    def plain(self) -> dict[str, str | int]:
        """The same for a machine."""
        names = ("file", "line", "column", "path", "message", "hint")
        return {name: getattr(self, name) for name in names}


class ConfigError(PortBrokerError):
    """A configuration that must not be served, with every problem that could be found at once.

    `files` are those whose change may mend it, as far as they are known beside the file itself. `revision` is that of
    the text, "" where it could not be read.
    """

    def __init__(self, problems: list[Problem], files: Collection[Path] = (), revision: str = "") -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.files = files
        self.revision = revision


class StoreError(PortBrokerError):
    """The database cannot be used like this. The message says what to do, and holds no password."""


class StoreDown(StoreError):
    """The database cannot be reached, is full, or takes too long. What was asked may or may not have been done."""


class Conflict(StoreError):
    """Somebody else was there first. `what` is `name` (taken), `version` (changed meanwhile) or `gone` (deleted)."""

    def __init__(self, message: str, what: Literal["name", "version", "gone"]) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class Overflow:
    """The numbers of a prompt that does not fit, as far as they are known.

    `output` is set when the prompt would fit without the output tokens that were asked for.
    """

    tokens: int | None = None
    limit: int | None = None
    output: int | None = None


@dataclass(eq=False)
class GatewayError(PortBrokerError):
    """A call that cannot be answered.

    `status` is what the upstream (or the gateway) answered, 0 when nothing was answered. `param` is the path in the
    client's body. `code` is the upstream's own code where it gave one. `headers` are those that may be passed on to
    the client (`retry-after`, `x-should-retry`, rate limits), in the client's or the upstream's spelling; lower case.
    `overflow` goes with the kind `context`.
    """

    message: str
    kind: Kind = "api"
    status: int = 0
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    overflow: Overflow | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def retryable(self) -> bool:
        """Whether another target may succeed where this one failed."""
        return False


@dataclass(eq=False)
class CallError(GatewayError):
    """The caller's own fault, found by the gateway before or instead of any attempt."""

    kind: Kind = "invalid"
    status: int = 400
    allow: tuple[str, ...] = ()
    """For 405: the methods that the path takes."""


@dataclass(eq=False)
class ProviderError(GatewayError):
    """One attempt failed. `provider` is the name in the file; the message never holds its credential.

    `callers_credential` says that the provider saw the caller's own credential, not the gateway's. `details` are what
    an Anthropic provider adds for programs (`error_code` and what belongs to it).
    """

    provider: str = ""
    callers_credential: bool = False
    details: Mapping[str, str | list[str]] = field(default_factory=dict)

    @property
    def retryable(self) -> bool:
        return self.kind not in _CALLERS_FAULT or self.status in _NOT_NOW
