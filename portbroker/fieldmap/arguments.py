"""Reading the arguments of operations: what is wrong with one is recorded at its place and the operation left out.

The one rule: nothing here raises for what a user wrote.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import orjson

from portbroker.fieldmap.conditions import Known
from portbroker.fieldmap.names import CONTEXT
from portbroker.fieldmap.paths import Path, compile_path
from portbroker.fieldmap.problems import Place, is_number
from portbroker.fieldmap.segments import MISSING, PathError

Number: TypeAlias = Callable[[Known], int | float | None]
"""A number of a rule: written down, or the value of an option once options are known."""

Text: TypeAlias = Callable[[Any, Mapping[str, Any] | Any], str | None]

_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


def members(argument: Any, at: Place, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any] | None:
    """The argument as a mapping with these keys, or None."""
    required = tuple(required)
    known = (*required, *optional)
    if not isinstance(argument, dict):
        at.fault(f"takes a mapping with {', '.join(known)}")
        return None
    wrong = [key for key in argument if key not in known]
    for key in wrong:
        (at / str(key)).unknown("key", key, known)
    lacking = [key for key in required if key not in argument]
    for key in lacking:
        at.fault(f"{key!r} is missing")
    return None if wrong or lacking else argument


def path(argument: Any, at: Place) -> Path | None:
    """The argument as a path, or None."""
    try:
        return compile_path(argument)
    except PathError as error:
        at.fault(f"bad path {argument!r}: {error}")
        return None


def texts(argument: Any, at: Place) -> list[str] | None:
    """The argument as a list of texts, not empty, or None."""
    if isinstance(argument, list) and argument and all(isinstance(item, str) for item in argument):
        return argument
    at.fault("takes a list of names")
    return None


def flag(argument: Any, at: Place) -> bool:
    """The argument as true or false."""
    if not isinstance(argument, bool):
        at.fault("takes true or false")
    return argument is True


def count(argument: Any, at: Place) -> int | None:
    """The argument as a whole number that is not negative, or None."""
    if isinstance(argument, int) and not isinstance(argument, bool) and argument >= 0:
        return argument
    at.fault("takes a whole number, 0 or more")
    return None


def number(argument: Any, at: Place) -> Number | None:
    """The argument as a number or as the name of an option (`ctx.options.stop_max`), or None."""
    if is_number(argument):
        return lambda _: argument
    name = str(argument).removeprefix("ctx.")
    if name != argument and name.startswith("options."):
        if name in CONTEXT.domains:
            return lambda known: known.get(name) if is_number(known.get(name)) else None
        at.unknown("option", argument, [f"ctx.{known}" for known in CONTEXT.domains if known.startswith("options.")])
        return None
    at.fault("takes a number")
    return None


# Templates


def as_text(value: Any) -> str:
    """A value inside a text: strings as they are, nothing for null, everything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # nested deeper than can be written
        return ""


def template(argument: Any, at: Place, names: Iterable[str]) -> tuple[Text, list[Path]] | None:
    """A text with `${path}` and `${ctx.name}`; it gives None where one of them is missing. And the paths in it."""
    if not isinstance(argument, str):
        at.fault("takes a text like `${user}-${ctx.model}`")
        return None
    literals = _PLACEHOLDER.split(argument)
    readers = [_reader(subject, at, names) for subject in literals[1::2]]
    paths = [reader for reader in readers if isinstance(reader, Path)]
    ends = literals[0::2]

    def text(document: Any, context: Any) -> str | None:
        out = ends[0]
        for reader, end in zip(readers, ends[1:], strict=True):
            value = reader.get(document) if isinstance(reader, Path) else _of_context(context, reader)
            if value is MISSING:
                return None
            out += as_text(value) + end
        return out

    return text, paths


def _reader(subject: str, at: Place, names: Iterable[str]) -> Path | str | None:
    name = subject.removeprefix("ctx.")
    if name == subject:
        return path(subject, at)
    if name not in names:
        at.unknown("context name", subject, [f"ctx.{known}" for known in names])
    return name


def _of_context(context: Any, name: str | None) -> Any:
    if name is None:
        return MISSING
    option = name.removeprefix("options.")
    return getattr(context, name, MISSING) if option == name else context.options.get(option, MISSING)
