"""Records as plain JSON values and back: for the spool, the database's functions and the socket between workers.

The one rule: `restored(type(r), plain(r)) == r`; what a newer version has added is left out, what it took away is the
default.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

R = TypeVar("R")


def text(record: object) -> bytes:
    """A record, or a list of them, as JSON; bytes are hexadecimal."""
    return orjson.dumps(record, default=bytes.hex)


def plain(record: object) -> Any:
    """The same as dicts, lists, text and numbers."""
    return orjson.loads(text(record))


def restored(kind: type[R], data: Mapping[str, Any]) -> R:
    """The record that these plain values stand for. Raises KeyError, TypeError or ValueError when there is none."""
    read: Callable[[Any], R] = _reader(typing.cast(Any, kind))
    return read(data)


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of this type from its plain form."""
    if dataclasses.is_dataclass(kind):
        return _record_reader(kind)
    if kind is bytes:
        return bytes.fromhex
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        item = _reader(inner[0])
        return lambda value: tuple(map(item, value))
    if origin in (types.UnionType, typing.Union):
        some = _reader(next(one for one in inner if one is not types.NoneType))
        return lambda value: None if value is None else some(value)
    return lambda value: value


def _record_reader(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in dataclasses.fields(kind)]
    return lambda data: kind(**{name: read(data[name]) for name, read in readers if name in data})
