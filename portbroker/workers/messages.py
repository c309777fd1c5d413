"""What a supervisor and a worker say to each other: length-prefixed JSON through a socket that only they have.

    supervisor                        worker
    prepare {generation, ...}  ────▶  parses, renders and compiles the bytes
                               ◀────  ready {generation}, or refused {generation, reason}
    commit {generation, at}    ────▶  serves it from the next call on
                               ◀────  committed {generation}
    reported {status}          ────▶  tells those who ask how the last reload went
                               ◀────  counted {record}: what calls have come to since the last time
                               ◀────  felt {health}: how providers are, whenever that has changed
                               ◀────  asked {number, what}: something that only the supervisor knows
    told {number, body}        ────▶  the answer
    stop                       ────▶  lets the calls under way end, then ends

    supervisor                        watcher
    prepare {generation, ...}  ────▶  follows the file, beginning with this
                               ◀────  prepare: the file has become this
    committed, or refused      ────▶  every worker serves it, or all go on as before
                               ◀────  reported: how the reload went
    look {cause}               ────▶  reads the file again
    look {cause, number, dry}  ────▶  the same for a worker that asked
                               ◀────  looked {number, body}: what came of it

The end of the socket means what `stop` means. The one rule: whatever a worker needs is in the message, because a path
may lead to other bytes by the time that it looks.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

from portbroker.config.load import Loaded, load_text
from portbroker.conversation import Json
from portbroker.errors import PortBrokerError

_LENGTH = struct.Struct("!I")
_LONGEST = 256 * 1024 * 1024
"""Bytes of a message. A file has 4 MiB at most, and so have those beside it."""


class NotUnderstood(PortBrokerError):
    """The other end speaks of something else."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """A configuration: `text` are the bytes of the file, `variables` and `files` what its templates read."""

    generation: int
    revision: str
    file: str
    directory: str
    text: bytes = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes | None] = field(repr=False)

    @classmethod
    def of(cls, loaded: Loaded, generation: int, directory: Path) -> "Prepare":
        """What was loaded, to be handed on; `directory` is that of the file."""
        read = loaded.surroundings
        return cls(
            generation, loaded.revision, loaded.file, str(directory), loaded.text, read.variables, read.files
        )  # fmt: skip

    def load(self) -> Loaded:
        """The same again, in this process. Raises `ConfigError`."""
        return load_text(
            self.text, file=self.file, directory=Path(self.directory), environ=self.variables, kept=self.files
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can serve it."""

    generation: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker cannot serve it, and goes on as before."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Commit:
    """All workers that must be ready are. `at` is when that was, in Unix seconds."""

    generation: int
    at: float


@dataclass(frozen=True, slots=True)
class Committed:
    """New calls are served by it."""

    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Accept nothing more, let the calls under way end, and end."""


@dataclass(frozen=True, slots=True)
class Look:
    """Read the file again; with a `number`, somebody waits for what comes of it. `dry`: serve nothing."""

    cause: str
    number: int = 0
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look with this number: a `LastReload`."""

    number: int
    body: Json


@dataclass(frozen=True, slots=True)
class Reported:
    """How reloading goes: a `Status`."""

    status: Json


@dataclass(frozen=True, slots=True)
class Counted:
    """What calls have come to since the last time: `Counts`."""

    record: Json


@dataclass(frozen=True, slots=True)
class Felt:
    """How providers are, as one worker has it: `Health.view`."""

    health: Json


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that only the supervisor knows, or can have done; `number` is the asker's own for it."""

    number: int
    what: str
    body: Json


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to what was asked under this number."""

    number: int
    body: Json


Message: TypeAlias = (
    Prepare | Ready | Refused | Commit | Committed | Stop | Look | Looked | Reported | Counted | Felt | Asked | Told
)
_KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """The message as bytes."""
    body = json.dumps({"kind": type(message).__name__.lower(), **asdict(message)}, default=_text).encode()
    return _LENGTH.pack(len(body)) + body


def _text(data: bytes) -> str:
    """Bytes as JSON can hold them, one character each."""
    return data.decode("latin-1")


def _decode(body: bytes) -> Message:
    fields = json.loads(body)
    kind = _KINDS[fields.pop("kind")]
    if kind is Prepare:
        fields["text"] = fields["text"].encode("latin-1")
        fields["files"] = {k: v if v is None else v.encode("latin-1") for k, v in fields["files"].items()}
    message: Message = kind(**fields)
    return message


class Inbox:
    """What has arrived of a conversation."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes. Raises `NotUnderstood`."""
        self._data += data
        messages = []
        while (body := self._next()) is not None:
            try:
                messages.append(_decode(body))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise NotUnderstood(f"this message cannot be read ({type(error).__name__})") from None
        return messages

    def _next(self) -> bytes | None:
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        if length > _LONGEST:
            raise NotUnderstood(f"a message of {length} bytes is none of ours")
        end = _LENGTH.size + length
        if len(self._data) < end:
            return None
        body = bytes(self._data[_LENGTH.size : end])
        del self._data[:end]
        return body
