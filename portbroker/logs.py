"""Where the log goes and how it reads: lines for people, or an object a line for machines.

The one rule: an object is one line, whatever is in it.
"""

import logging
import re
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


class ColouredLines(logging.Formatter):
    """Lines for a person at a terminal: what is wrong is red, what to do about it cyan, what a reload changes green."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if colour := _LEVELS.get(record.levelname):
            text = text.replace(record.levelname, _painted(record.levelname, colour), 1)
            return _HINT.sub(lambda found: found[1] + _painted(found[2], _CYAN) + found[3],
                             _CARETS.sub(lambda found: found[1] + _painted(found[2], _RED), text))  # fmt: skip
        return _CHANGES.sub(lambda found: found[1] + _painted(found[2], _GREEN), text)


_RED, _GREEN, _YELLOW, _CYAN = "31", "32", "33", "36"
_LEVELS = {"WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED}
_CARETS = re.compile(r"^( +\| *)(\^+)$", re.MULTILINE)
_HINT = re.compile(r"^( +)(hint:)(.*)$", re.MULTILINE)
_CHANGES = re.compile(r"(: revision \w+, was \w+: |: revision \w+ with other secrets: )(.+)")


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def log_to_standard_error(form: Form, *, processes: bool, coloured: bool = False) -> None:
    """From now on. `processes`: several of them write to it, and each line says which."""
    handler = logging.StreamHandler(sys.stderr)
    lines = ColouredLines if coloured else logging.Formatter
    handler.setFormatter(JsonLines() if form == "json" else lines(_FORMS[processes]))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what a change means is said by us
