"""The operations that a rule can do, each compiled to actions on one document.

The one rule: an action gives a new document that shares what it did not touch, or the same one when it changed nothing;
it cannot fail, whatever the document holds.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from portbroker.conversation import AdaptationCode, Json
from portbroker.fieldmap import RuleContext, arguments
from portbroker.fieldmap.conditions import CONTEXT, Known
from portbroker.fieldmap.functions import FUNCTIONS
from portbroker.fieldmap.paths import MISSING, Change, Path, PathError, same, scalar_text, split_pair
from portbroker.fieldmap.problems import Place, is_number
from portbroker.fieldmap.schemas import strip_keys

Apply: TypeAlias = Callable[[Json, RuleContext], Json]


def _nothing(document: Json, _: RuleContext) -> Json:
    return document


@dataclass(frozen=True, slots=True)
class Action:
    """One change. `code` and `path` say how it is reported; without a path, every key that went is reported.

    Without a code it is never reported. `bind` gives the action once options are known, for the few that depend on one.
    """

    apply: Apply
    code: AdaptationCode | None
    path: str | None
    bind: Callable[[Known], Apply] | None = None

    def bound(self, known: Known) -> "Action":
        """This action with what is known put in."""
        return self if self.bind is None else replace(self, apply=self.bind(known), bind=None)


Operation: TypeAlias = Callable[[Any, Place], list[Action]]


def _changing(path: Path, change: Change) -> Apply:
    update = path.update
    return lambda document, _: update(document, change)


# move, copy


def _move(argument: Any, at: Place) -> list[Action]:
    return _transfer(argument, at, keep_source=False)


def _copy(argument: Any, at: Place) -> list[Action]:
    return _transfer(argument, at, keep_source=True)


def _transfer(argument: Any, at: Place, keep_source: bool) -> list[Action]:
    given = arguments.members(argument, at, ("from", "to"), ("keep_existing",))
    if given is None:
        return []
    source, to = arguments.path(given["from"], at / "from"), arguments.path(given["to"], at / "to")
    keep_existing = arguments.flag(given.get("keep_existing", False), at / "keep_existing")
    if source is None or to is None:
        return []
    try:
        prefix, inner, outer = split_pair(source, to)
    except PathError as error:
        (at / "to").fault(str(error))
        return []
    transfer = _element_transfer(inner, outer, keep_existing, keep_source)
    path = to.text if keep_source else source.text
    if prefix is None:
        return [Action(lambda document, _: transfer(document), "changed", path)]
    return [Action(_changing(prefix, transfer), "changed", path)]


def _element_transfer(source: Path, to: Path, keep_existing: bool, keep_source: bool) -> Change:
    def transfer(element: Any) -> Any:
        value = source.get(element)
        if value is MISSING:
            return element
        # The source goes first, so that `a` can move to `a.b`.
        rest = element if keep_source else _delete_first(source, element)
        moved = to.upsert(rest, lambda old: old if _keeps(old, value, keep_existing) else value)
        if moved is not rest or keep_source or to.all(rest):
            return moved
        return element  # there is no such place: better where it was than lost

    return transfer


def _keeps(old: Any, value: Any, keep_existing: bool) -> bool:
    return old is not MISSING and (keep_existing or same(old, value))


def _delete_first(path: Path, element: Any) -> Any:
    """Without the first value of the path: that is the one that moved."""
    seen = False

    def change(value: Any) -> Any:
        nonlocal seen
        if seen:
            return value
        seen = True
        return MISSING

    return path.update(element, change)


# set, default, drop


def _set(argument: Any, at: Place) -> list[Action]:
    def setter(path: Path, value: Any) -> Apply:
        return lambda document, _: path.upsert(document, lambda old: old if same(old, value) else value)

    return _assign(argument, at, setter, "changed")


def _default(argument: Any, at: Place) -> list[Action]:
    def filler(path: Path, value: Any) -> Apply:
        return lambda document, _: path.upsert(document, lambda old: value if old is MISSING else old)

    return _assign(argument, at, filler, "added")


def _assign(argument: Any, at: Place, make: Callable[[Path, Any], Apply], code: AdaptationCode) -> list[Action]:
    if not isinstance(argument, dict) or not argument:
        at.fault("takes a mapping of paths to values")
        return []
    paths = [(arguments.path(text, at / str(text)), value) for text, value in argument.items()]
    return [Action(make(path, value), code, path.text) for path, value in paths if path is not None]


def _drop(argument: Any, at: Place) -> list[Action]:
    several = isinstance(argument, list)
    if several and not argument:
        at.fault("takes a path or a list of paths")
    places = [(text, at / number) for number, text in enumerate(argument)] if several else [(argument, at)]
    paths = [arguments.path(text, place) for text, place in places]
    return [Action(_changing(path, lambda _: MISSING), "dropped", path.text) for path in paths if path is not None]


# clamp, map, limit, hash


def _clamp(argument: Any, at: Place) -> list[Action]:
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

        return _changing(path, change)

    return [Action(_nothing, "clamped", path.text, bind)]


def _bound(number: arguments.Number | None, known: Known, without: float) -> float:
    """A bound as a number; without one, or where its option is not set, the one that bounds nothing."""
    value = None if number is None else number(known)
    return without if value is None else value


def _limit(argument: Any, at: Place) -> list[Action]:
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
            return _nothing
        end = int(size)
        return _changing(path, lambda v: v[:end] if isinstance(v, (list, str)) and len(v) > end else v)

    return [Action(_nothing, "clamped", path.text, bind)]


def _map(argument: Any, at: Place) -> list[Action]:
    given = arguments.members(argument, at, ("path", "values"))
    if given is None:
        return []
    path, values = arguments.path(given["path"], at / "path"), given["values"]
    if not isinstance(values, dict) or not values:
        (at / "values").fault("takes a mapping from old values to new ones")
        return []
    if path is None:
        return []
    return [Action(_changing(path, _mapping(values)), "changed", path.text)]


def _mapping(values: Mapping[Any, Any]) -> Change:
    table = {scalar_text(old): MISSING if new == "$drop" else new for old, new in values.items() if old != "_else"}
    otherwise = values.get("_else", table)  # the table itself: something that no document holds
    otherwise = MISSING if otherwise == "$drop" else otherwise

    def change(value: Any) -> Any:
        key = scalar_text(value)
        new = table.get(key, otherwise) if key is not None else otherwise
        return value if new is table or same(new, value) else new

    return change


def _hash(argument: Any, at: Place) -> list[Action]:
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

    return [Action(_changing(path, change), "changed", path.text)]


# template, keep_only, strip_keys, call


def _template(argument: Any, at: Place) -> list[Action]:
    given = arguments.members(argument, at, ("to", "text"))
    if given is None:
        return []
    to, compiled = (
        arguments.path(given["to"], at / "to"),
        arguments.template(given["text"], at / "text", CONTEXT.domains),
    )
    if to is None or compiled is None:
        return []
    text, paths = compiled
    if to.many and any(path.many for path in paths):
        (at / "text").fault("a text for several places cannot read from several places")

    def apply(document: Json, context: RuleContext) -> Json:
        value = text(document, context)
        return document if value is None else to.set(document, value)

    return [Action(apply, "changed", to.text)]


def _keep_only(argument: Any, at: Place) -> list[Action]:
    names = arguments.texts(argument, at)
    if names is None:
        return []
    allowed = frozenset(names)

    def apply(document: Json, _: RuleContext) -> Json:
        if document.keys() <= allowed:
            return document
        return {key: value for key, value in document.items() if key in allowed}

    return [Action(apply, "dropped", None)]


def _strip_keys(argument: Any, at: Place) -> list[Action]:
    given = arguments.members(argument, at, ("path", "keys"))
    if given is None:
        return []
    path, keys = arguments.path(given["path"], at / "path"), arguments.texts(given["keys"], at / "keys")
    if path is None or keys is None:
        return []
    names = frozenset(keys)
    return [Action(_changing(path, lambda value: strip_keys(value, names)), "dropped", path.text)]


def _call(argument: Any, at: Place) -> list[Action]:
    given = arguments.members(argument, at, ("fn",), ("path", "args"))
    if given is None:
        return []
    function = FUNCTIONS.get(given["fn"]) if isinstance(given["fn"], str) else None
    if function is None:
        (at / "fn").unknown("function", given["fn"], FUNCTIONS)
        return []
    change = function.compile(given.get("args", {}), at / "args")
    texts = (given["path"],) if "path" in given else function.paths
    paths = [arguments.path(text, at / "path") for text in texts]
    if change is None:
        return []
    changes = [(function.first, None), (change, function.code)]
    return [
        Action(_changing(path, change), code, path.text)
        for path in paths
        for change, code in changes
        if path is not None and change is not None
    ]


OPERATIONS: dict[str, Operation] = {
    "move": _move,
    "copy": _copy,
    "set": _set,
    "default": _default,
    "drop": _drop,
    "clamp": _clamp,
    "map": _map,
    "limit": _limit,
    "hash": _hash,
    "template": _template,
    "keep_only": _keep_only,
    "strip_keys": _strip_keys,
    "call": _call,
}
