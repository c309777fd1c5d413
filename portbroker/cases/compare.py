"""What was expected of a translation beside what came: markers, paths, and every difference.

The one rule: a key that was not expected is a difference, but for the three places that are named here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from portbroker.conversation import Json


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()
"""What stands where there is no value at all; never equal to null."""

# A response object inside a Responses event: what it may hold beyond what a case lists.
RESPONSE_KEYS: Final = frozenset(
    {
        *("id", "object", "created_at", "status", "model", "output", "parallel_tool_calls", "tool_choice", "tools"),
        *("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p", "max_output_tokens"),
        *("previous_response_id", "reasoning", "store", "text", "truncation", "usage"),
    }
)

_UNASKED: Final = ("$headers",)  # a case that expects a status need not speak of headers

_STEP = re.compile(r"\[(-?\d+)\]|\.?([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where what came is not what was expected."""

    path: str
    expected: Any
    got: Any


def differences(expected: Any, got: Any, path: str = "", *, loose: bool = False) -> Iterator[Difference]:
    """Every difference, in document order. `loose` allows further keys in objects, at any depth."""
    if isinstance(expected, str) and expected.startswith("$"):
        if not _marked(expected, got):
            yield Difference(path, expected, got)
    elif isinstance(expected, dict) and isinstance(got, dict):
        yield from _objects(expected, got, path, loose)
    elif isinstance(expected, list) and isinstance(got, list):
        yield from _lists(expected, got, path, loose)
    elif not _same(expected, got):
        yield Difference(path, expected, got)


def subset_differences(expected: Json, document: Any) -> Iterator[Difference]:
    """The differences at each path of a subset; keys beside those listed are allowed."""
    for path, value in expected.items():
        yield from differences(value, look_up(document, path), path, loose=True)


def look_up(document: Any, path: str) -> Any:
    """The value at `a.b[0].c`, or MISSING. `$len` is a length, `$events` the names of a stream's events."""
    value = document
    for index, key in _STEP.findall(path):
        value = _item(value, int(index)) if index else _member(value, key)
    return value


def item_id_differences(events: list[Any]) -> Iterator[Difference]:
    """Where a Responses stream gives one item two ids: cases only see their prefixes."""
    ids: dict[Any, Any] = {}
    for number, event in enumerate(events):
        for index, found in _item_ids(event["data"] if isinstance(event, dict) and "data" in event else {}):
            if ids.setdefault(index, found) != found:
                yield Difference(f"[{number}].data (id of item {index})", ids[index], found)


def _item_ids(data: Any) -> Iterator[tuple[int, Any]]:
    if not isinstance(data, dict):
        return
    index = data.get("output_index")
    if index is not None and (found := data.get("item_id", look_up(data, "item.id"))) is not MISSING:
        yield index, found
    output = look_up(data, "response.output")
    for number, item in enumerate(output if isinstance(output, list) else ()):
        yield number, look_up(item, "id")


def _member(value: Any, key: str) -> Any:
    if key == "$len":
        return len(value) if isinstance(value, (list, dict, str)) else MISSING
    if key == "$events":
        return [look_up(event, "event") for event in value] if isinstance(value, list) else MISSING
    return value.get(key, MISSING) if isinstance(value, dict) else MISSING


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else MISSING


def _marked(marker: str, got: Any) -> bool:
    if marker == "$absent":
        return got is MISSING
    if marker == "$any":
        return got is not MISSING
    if marker == "$int":
        return isinstance(got, int) and not isinstance(got, bool)
    if marker.startswith("$prefix:"):
        return isinstance(got, str) and got.startswith(marker.removeprefix("$prefix:"))
    return _same(marker, got)


def _objects(expected: Json, got: Json, path: str, loose: bool) -> Iterator[Difference]:
    for key, value in expected.items():
        theirs = got.get(key, MISSING)
        yield from differences(value, theirs, _join(path, key), loose=loose or _may_hold_more(key, expected))
    if loose:
        return
    allowed = RESPONSE_KEYS if path.endswith("].data.response") else _UNASKED if "$status" in expected else ()
    for key in got:
        if key not in expected and key not in allowed:
            yield Difference(_join(path, key), MISSING, got[key])


def _may_hold_more(key: str, parent: Json) -> bool:
    """Headers list only what must be there, and the body of an error may say more."""
    status = parent.get("$status")
    return key == "$headers" or (key == "$body" and isinstance(status, int) and status >= 400)


def _lists(expected: list[Any], got: list[Any], path: str, loose: bool) -> Iterator[Difference]:
    for index in range(max(len(expected), len(got))):
        ours, theirs = _item(expected, index), _item(got, index)
        if ours is MISSING:
            yield Difference(f"{path}[{index}]", MISSING, theirs)
        else:
            yield from differences(ours, theirs, f"{path}[{index}]", loose=loose)


def _same(expected: Any, got: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are one number, true is none."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    return bool(expected == got)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
