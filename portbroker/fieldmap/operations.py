"""The operations that a rule can do, each compiled from its argument as written to actions.

The one rule: what is wrong with an argument is recorded at its place, and the operation is left out.
"""

from collections.abc import Callable
from typing import Any

from portbroker.conversation import AdaptationCode, Json
from portbroker.fieldmap import RuleContext, arguments
from portbroker.fieldmap.actions import Action, Apply, Operation, changing
from portbroker.fieldmap.functions import FUNCTIONS
from portbroker.fieldmap.names import CONTEXT
from portbroker.fieldmap.paths import Change, Path, same, split_pair
from portbroker.fieldmap.problems import Place
from portbroker.fieldmap.schemas import strip_keys
from portbroker.fieldmap.segments import MISSING, PathError
from portbroker.fieldmap.values import clamp_value, hash_value, limit_value, map_value

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
        return [Action(lambda document, _: transfer(document), "changed", path, needs=source.root)]
    return [Action(changing(prefix, transfer), "changed", path, needs=prefix.root)]


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
    return [
        Action(changing(path, lambda _: MISSING), "dropped", path.text, needs=path.root)
        for path in paths
        if path is not None
    ]


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
    return [Action(changing(path, lambda value: strip_keys(value, names)), "dropped", path.text, needs=path.root)]


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
        Action(changing(path, change), code, path.text, needs=path.root)
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
    "clamp": clamp_value,
    "map": map_value,
    "limit": limit_value,
    "hash": hash_value,
    "template": _template,
    "keep_only": _keep_only,
    "strip_keys": _strip_keys,
    "call": _call,
}
