"""Where the log goes and how it reads: lines for people, or an object a line for machines.

The one rule: an object is one line, whatever is in it.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal, Protocol, runtime_checkable

import orjson

Form = Literal["text", "json"]

_FORMS = {False: "%(asctime)s %(levelname)-7s %(message)s", True: "%(asctime)s %(process)d %(levelname)-7s %(message)s"}


@runtime_checkable
class Told(Protocol):
    """What a record tells of, if it has fields of its own."""

    def fields(self) -> dict[str, object]:
        """Its facts by name, as JSON can hold them."""


class JsonLines(logging.Formatter):
    """One object a line: `time` (RFC 3339, UTC), `level`, `logger`, `process`, and the fields of what the record tells
    of, or else its `message`; `traceback` is that of a fault of ours."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, object] = {"time": at, "level": record.levelname.lower(), "logger": record.name}
        said["process"] = record.process
        told = record.args[0] if isinstance(record.args, tuple) and record.args else None
        said |= told.fields() if isinstance(told, Told) else {"message": record.getMessage()}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(said, default=str).decode()


def log_to_standard_error(form: Form, *, processes: bool) -> None:
    """From now on. `processes`: several of them write to it, and each line says which."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_FORMS[processes]))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what a change means is said by us
