"""The operations on single values: clamp, limit, map, hash.

The one rule: a value of another type than the operation is for stays as it is.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from portbroker.fieldmap import arguments
from portbroker.fieldmap.actions import Action, Apply, changing, nothing
from portbroker.fieldmap.conditions import Known
from portbroker.fieldmap.paths import Change, same
from portbroker.fieldmap.problems import Place, is_number
from portbroker.fieldmap.segments import MISSING, scalar_text


def clamp_value(argument: Any, at: Place) -> list[Action]:
    """Keep a number within bounds."""
    given = arguments.members(argument, at, ("path",), ("min", "max"))
    if given is None:
        return []
    path = arguments.path(given["path"], at / "path")
    bounds = {name: arguments.number(given[name], at / name) for name in ("min", "max") if name in given}
    if not bounds:
        at.fault("takes `min`, `max` or both")
    low, high = given.get("min"), given.get("max")
    if is_number(low) and is_number(high) and low > high:
        at.fault("`min` is greater than `max`")
    if path is None or not bounds or None in bounds.values():
        return []

    def bind(known: Known) -> Apply:
        least = _bound(bounds.get("min"), known, -math.inf)
        most = _bound(bounds.get("max"), known, math.inf)

        def change(value: Any) -> Any:
            if not is_number(value) or least <= value <= most:
                return value
            return most if value > most else least

        return changing(path, change)

    return [Action(nothing, "clamped", path.text, bind, needs=path.root)]


def _bound(number: arguments.Number | None, known: Known, without: float) -> float:
    """A bound as a number; without one, or where its option is not set, the one that bounds nothing."""
    value = None if number is None else number(known)
    return without if value is None else value


def limit_value(argument: Any, at: Place) -> list[Action]:
    """Cut a list or a text to a length."""
    given = arguments.members(argument, at, ("path", "max"))
    if given is None:
        return []
    path, most = arguments.path(given["path"], at / "path"), arguments.number(given["max"], at / "max")
    if is_number(given["max"]) and (given["max"] < 0 or given["max"] != int(given["max"])):
        (at / "max").fault("takes a whole number, 0 or more")
    if path is None or most is None:
        return []

    def bind(known: Known) -> Apply:
        size = most(known)
        if size is None:
            return nothing
        end = int(size)
        return changing(path, lambda v: v[:end] if isinstance(v, (list, str)) and len(v) > end else v)

    return [Action(nothing, "clamped", path.text, bind, needs=path.root)]


def map_value(argument: Any, at: Place) -> list[Action]:
    """Replace some values by others."""
    given = arguments.members(argument, at, ("path", "values"))
    if given is None:
        return []
    path, values = arguments.path(given["path"], at / "path"), given["values"]
    if not isinstance(values, dict) or not values:
        (at / "values").fault("takes a mapping from old values to new ones")
        return []
    if path is None:
        return []
    return [Action(changing(path, _mapping(values)), "changed", path.text, needs=path.root)]


def _mapping(values: Mapping[Any, Any]) -> Change:
    table = {scalar_text(old): MISSING if new == "$drop" else new for old, new in values.items() if old != "_else"}
    otherwise = values.get("_else", table)  # the table itself: something that no document holds
    otherwise = MISSING if otherwise == "$drop" else otherwise

    def change(value: Any) -> Any:
        key = scalar_text(value)
        new = table.get(key, otherwise) if key is not None else otherwise
        return value if new is table or same(new, value) else new

    return change


def hash_value(argument: Any, at: Place) -> list[Action]:
    """Replace a text by its SHA-256, in hexadecimal digits."""
    given = arguments.members(argument, at, ("path",), ("longer_than", "length"))
    if given is None:
        return []
    path = arguments.path(given["path"], at / "path")
    longer_than = arguments.count(given.get("longer_than", 0), at / "longer_than")
    length = arguments.count(given.get("length", 64), at / "length")
    if length == 0:
        (at / "length").fault("takes a whole number, 1 or more")
    if path is None or longer_than is None or length is None:
        return []

    def change(value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= longer_than:
            return value
        return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:length]

    return [Action(changing(path, change), "changed", path.text, needs=path.root)]
