"""Translation cases as they stand in a file: one JSON object a line.

The one rule: a case that says something this reader does not know is at fault; it is never run without it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from portbroker.config.options import Options
from portbroker.conversation import AnswerContext, Json
from portbroker.errors import PortBrokerError

DIALECTS_BY_WORD: Final = {
    "anthropic": "anthropic.messages",
    "openai": "openai.chat",
    "responses": "openai.responses",
}
KINDS: Final = ("request", "response", "stream")

_REQUIRED: Final = ("id", "direction", "kind", "input")
_KEYS: Final = frozenset({*_REQUIRED, "options", "expect", "expect_subset", "adaptations", "why"})
_ANSWER_FIELDS: Final = {f.name: f for f in fields(AnswerContext)}
_OPTION_NAMES: Final = frozenset(info.alias or name for name, info in Options.model_fields.items())


class CaseError(PortBrokerError):
    """A case that cannot be run as it is written."""


@dataclass(frozen=True, slots=True)
class Case:
    """One translation and what must come of it: `expect` whole, or `subset` by paths.

    `source` and `target` are words of the direction (`anthropic`, `openai`, `responses`, `gateway`), both empty for a
    field map. `adaptations` is None where the case does not speak of them.
    """

    id: str
    kind: str
    source: str
    target: str
    input: Any
    expect: Any = None
    subset: Json | None = None
    adaptations: tuple[str, ...] | None = None
    options: Options = field(default_factory=Options)
    answer: AnswerContext = field(default_factory=AnswerContext)
    why: str = ""

    @property
    def title(self) -> str:
        return f"{self.source}->{self.target} {self.kind}" if self.source else "fieldmap"


def read_cases(path: Path) -> Iterator[tuple[str, Case | CaseError]]:
    """Each line of a file as its name (the id, or where it stands) and the case, or why it is none."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            case = parse_case(line)
        except CaseError as error:
            yield f"{path}:{number}", error
        else:
            yield case.id, case


def parse_case(line: bytes) -> Case:
    """The case on one line; raises CaseError for all that is wrong with it."""
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise CaseError(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CaseError("a case is a JSON object")
    _check_keys(raw)
    source, target = _ends(raw)
    options = raw.get("options") or {}
    return Case(
        id=raw["id"],
        kind=raw["kind"],
        source=source,
        target=target,
        input=raw["input"],
        expect=_lower_headers(raw.get("expect")),
        subset=raw.get("expect_subset"),
        adaptations=tuple(raw["adaptations"]) if "adaptations" in raw else None,
        options=_options(options),
        answer=_answer(options),
        why=str(raw.get("why", "")),
    )


def _check_keys(raw: Json) -> None:
    for key in _REQUIRED:
        if key not in raw:
            raise CaseError(f"{key} is missing")
    if unknown := sorted(raw.keys() - _KEYS):
        raise CaseError(f"unknown: {', '.join(unknown)}")
    if not isinstance(raw["id"], str) or raw["kind"] not in KINDS:
        raise CaseError(f"id must be text and kind one of {', '.join(KINDS)}")
    if ("expect" in raw) == ("expect_subset" in raw):
        raise CaseError("exactly one of expect and expect_subset is needed")
    if not isinstance(raw.get("expect_subset", {}), dict) or not isinstance(raw.get("options") or {}, dict):
        raise CaseError("expect_subset and options are objects")
    if not isinstance(raw.get("adaptations", []), list):
        raise CaseError("adaptations is a list")


def _ends(raw: Json) -> tuple[str, str]:
    direction = raw["direction"]
    if direction == "fieldmap":
        return "", ""
    source, arrow, target = str(direction).partition("->")
    if not arrow or source not in DIALECTS_BY_WORD or target not in (*DIALECTS_BY_WORD, "gateway"):
        raise CaseError(f"unknown direction {direction!r}")
    return source, target


def _options(given: Json) -> Options:
    """The switches of a provider among the options of a case."""
    if unknown := sorted(given.keys() - _OPTION_NAMES - _ANSWER_FIELDS.keys()):
        raise CaseError(f"unknown option: {', '.join(unknown)}")
    try:
        return Options.model_validate({name: value for name, value in given.items() if name in _OPTION_NAMES})
    except ValidationError as error:
        first = error.errors()[0]
        raise CaseError(f"option {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _answer(given: Json) -> AnswerContext:
    """What the options of a case say about the answer."""
    values = {name: _converted(name, given[name]) for name in given.keys() & _ANSWER_FIELDS.keys()}
    return AnswerContext(**values)


def _converted(name: str, value: Any) -> Any:
    """The value in the type of its field: JSON has neither tuples nor sets."""
    kind = _kind(name)
    if kind in (tuple, frozenset) and isinstance(value, list):
        return kind(value)
    if not isinstance(value, kind) and not (value is None and name in ("request_model", "state")):
        raise CaseError(f"option {name}: {kind.__name__} expected")
    return value


def _kind(name: str) -> type:
    """The runtime type of a field: that of its default, text where the default is None."""
    info = _ANSWER_FIELDS[name]
    if info.default_factory is not NO_DEFAULT:
        return type(info.default_factory())
    return str if info.default is None else type(info.default)


def _lower_headers(expect: Any) -> Any:
    if isinstance(expect, dict) and isinstance(headers := expect.get("$headers"), Mapping):
        return {**expect, "$headers": {name.lower(): value for name, value in headers.items()}}
    return expect
