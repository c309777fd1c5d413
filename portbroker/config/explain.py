"""Everything that the JSON Schema has against a document, in our words. Imports jsonschema: only for a file in doubt.

The one rule: where a value may be of several kinds, only the kind that it is meant to be is talked about.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from threading import Lock
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator

from portbroker.config.grammar import OPERATIONS
from portbroker.config.phrases import bound, must_be, one_of, unknown_key
from portbroker.config.place import Finding, Path
from portbroker.config.schema import schema

_BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "greater than", "exclusiveMaximum": "less than",
}  # fmt: skip
Complaint: TypeAlias = Any
"""jsonschema's ValidationError; its own types call every part of it optional."""

_MISSING = re.compile(r"`(\w+)` is missing")
_EMPTY = frozenset(("minLength", "minItems", "minProperties"))


def explain(data: Any) -> list[Finding]:
    """What is wrong, each thing once."""
    found = (finding for error in _validator().iter_errors(data) for finding in _of_error(error))
    return _without_consequences(list(dict.fromkeys(found)))


def _without_consequences(found: list[Finding]) -> list[Finding]:
    """A misspelt key is one fault, not also a missing one."""
    meant = {(finding.path[:-1], finding.hint) for finding in found if finding.at_key}
    return [
        finding
        for finding in found
        if not (missing := _MISSING.fullmatch(finding.message))
        or (finding.path, f"did you mean `{missing[1]}`?") not in meant
    ]


_BUILDING = Lock()


def _validator() -> Draft202012Validator:
    # One thread at a time: the schema is read from our own source, and Python 3.11 cannot parse in two threads at once.
    with _BUILDING:
        return _built()


@cache
def _built() -> Draft202012Validator:
    return Draft202012Validator(schema())


def _of_error(error: Complaint) -> Iterator[Finding]:
    path: Path = tuple(error.absolute_path)
    if error.validator in ("anyOf", "oneOf"):
        yield from _of_choice(path, error)
    elif error.validator == "additionalProperties":
        yield from _of_unknown_keys(path, error)
    elif error.validator == "required":
        yield from _of_missing_keys(path, error)
    elif "propertyNames" in error.absolute_schema_path:
        yield Finding((*path, error.instance), *_phrase(path, error), at_key=True)
    else:
        yield Finding(path, *_phrase(path, error))


def _phrase(path: Path, error: Complaint) -> tuple[str, str]:
    name, limit, instance = error.validator, error.validator_value, error.instance
    if name == "type":
        return must_be([limit] if isinstance(limit, str) else limit, instance)
    if name == "enum":
        return one_of(path, limit, instance)
    if name in _BOUNDS:
        return bound(path, _BOUNDS[name], limit, instance), ""
    if name in _EMPTY:
        return "must not be empty", ""
    if name == "pattern":
        return error.schema.get("patternErrorMessage", "is not written as it must be"), ""
    return "is not what is expected here", ""


def _of_choice(path: Path, error: Complaint) -> Iterator[Finding]:
    if error.schema.get("title") == "Rule":
        yield from _of_rule(path, error.instance)
        return
    branches: dict[Any, list[Complaint]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    meant = [errors for errors in branches.values() if not _is_other_kind(errors)]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _of_error(inner)
    elif not meant:
        yield Finding(path, *must_be(_kinds(branches.values()), error.instance))
    else:
        yield Finding(path, *_phrase(path, meant[0][0]))


def _is_other_kind(errors: list[Complaint]) -> bool:
    return any(error.validator == "type" and not error.relative_path for error in errors)


def _kinds(branches: Iterable[list[Complaint]]) -> list[str]:
    kinds: list[str] = []
    for errors in branches:
        wanted = next(error.validator_value for error in errors if error.validator == "type")
        kinds += [wanted] if isinstance(wanted, str) else wanted
    return list(dict.fromkeys(kinds))


def _of_rule(path: Path, rule: Any) -> Iterator[Finding]:
    if not isinstance(rule, dict):
        return  # its kind is complained about already
    named = [name for name in OPERATIONS if name in rule]
    if len(named) > 1:
        words = ", ".join(f"`{name}`" for name in named)
        yield Finding(path, f"a rule does one thing, but this one has {words}", "make it several rules")
    elif not rule.keys() - {"id", "disable", "when", "report"}:
        yield Finding(path, "this rule does nothing", f"give it one of: {', '.join(OPERATIONS)}")


def _of_unknown_keys(path: Path, error: Complaint) -> Iterator[Finding]:
    properties = error.schema.get("properties", {})
    for key in error.instance:
        if key not in properties:
            message, hint = unknown_key(key, list(properties), _homes(key))
            yield Finding((*path, key), message, hint, at_key=True)


def _homes(key: str) -> Iterator[str]:
    """The top-level sections that know the key."""
    everything = schema()
    for name, part in everything["properties"].items():
        for reference in re.findall(r"'#/\$defs/(\w+)'", str(part)):
            if key in everything["$defs"][reference].get("properties", {}):
                yield name


def _of_missing_keys(path: Path, error: Complaint) -> Iterator[Finding]:
    for name in error.validator_value:
        if name not in error.instance:
            description = error.schema.get("properties", {}).get(name, {}).get("description", "")
            yield Finding(path, f"`{name}` is missing", description.split(". ")[0].rstrip("."))
