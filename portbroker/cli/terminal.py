"""What commands write: colour where a person looks, aligned columns, errors with a hint.

The one rule: what a command found goes to standard output; what went wrong goes to standard error.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

from portbroker.errors import PortBrokerError

_CODES: Final = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}


class CommandError(PortBrokerError):
    """A command cannot do what it was asked; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


def setting(name: str) -> str:
    """What the environment says to the command itself, "" for nothing; what it says to a file is the file's affair."""
    return os.environ.get(name, "")


def environment() -> dict[str, str]:
    """All of it, for commands that hand it on."""
    return dict(os.environ)


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return setting("PORTBROKER_DEBUG") not in ("", "0")


class Terminal:
    """Standard output and standard error, each coloured only when it is a terminal and NO_COLOR is not set."""

    def __init__(self) -> None:
        self._plain = bool(setting("NO_COLOR")) or setting("TERM") == "dumb"

    def say(self, text: str = "") -> None:
        """A line of the result."""
        print(text)

    def note(self, text: str) -> None:
        """A line beside the result."""
        print(text, file=sys.stderr)

    def write(self, data: bytes) -> None:
        """The result as bytes that came whole."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def json(self, value: Any) -> None:
        """The result for a machine."""
        import orjson

        print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())

    def error(self, message: str, hint: str = "", level: str = "error", detail: Sequence[str] = ()) -> None:
        """What went wrong, the lines that show it, and what to do about it."""
        colour = "red" if level == "error" else "yellow"
        lines = [f"{self.paint(f'{level}:', colour, sys.stderr)} {message}", *detail]
        if hint:
            first, *rest = hint.split("\n")
            lines += [f"{self.paint('hint:', 'cyan', sys.stderr)}  {first}", *(f"       {line}" for line in rest)]
        print("\n".join(lines), file=sys.stderr)

    def paint(self, text: str, colour: str, stream: TextIO | None = None) -> str:
        """`text` in a colour where that can be seen."""
        if not self.shows_colours(stream or sys.stdout):
            return text
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"

    def shows_colours(self, stream: TextIO) -> bool:
        """Whether a person looks at it, and has not asked for plain text."""
        return not self._plain and stream.isatty()

    def abandon(self) -> None:
        """Write nothing more: the interpreter would complain about the closed pipe when it flushes."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def aligned(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """The rows as lines with their columns below each other."""
    table = [list(row) for row in rows]
    columns = max((len(row) for row in table), default=0)
    widths = [max((len(row[at]) for row in table if at < len(row)), default=0) for at in range(columns)]
    return [(indent + "  ".join(cell.ljust(widths[at]) for at, cell in enumerate(row))).rstrip() for row in table]
