"""Plain data as a `Config`, or everything that is wrong with it.

The one rule: pydantic decides, the JSON Schema explains. What pydantic accepts the schema accepts too (a test holds
them to it, field-map rules apart, which are compiled in any case), so the schema, whose library takes 100 ms to import,
is only asked about a file that pydantic refused, or when someone wants to be thorough. Its complaints have better
places; pydantic's are added where it has none.
"""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from portbroker.config.model import Config
from portbroker.config.phrases import of_pydantic
from portbroker.config.place import Finding, Path


def build(data: Any, *, thorough: bool = False) -> tuple[Config | None, list[Finding]]:
    """The configuration, and what is wrong: one of the two is empty unless only the schema objects."""
    if not isinstance(data, dict):
        return None, [Finding((), "the file must be a mapping", "begin with `providers:` and a list below it")]
    data = {key: value for key, value in data.items() if value is not None or key not in Config.model_fields}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        return None, _findings(data, details)
    return config, _of_schema(data) if thorough else []


def _findings(data: Any, details: list[ErrorDetails]) -> list[Finding]:
    found = _of_schema(data)
    places = {finding.path for finding in found}
    rest: dict[Path, Finding] = {}
    for detail in details:  # of a choice, what is wrong with each alternative comes: the first is the plain one
        finding = of_pydantic(_path(data, detail["loc"]), detail)
        rest.setdefault(finding.path, finding)
    return found + [finding for finding in rest.values() if not _told(finding.path, places)]


def _told(path: Path, places: set[Path]) -> bool:
    """Whether something was said of this place, of what holds it, or of what it holds."""
    return any(path[: len(place)] == place or place[: len(path)] == path for place in places)


def _of_schema(data: Any) -> list[Finding]:
    from portbroker.config.explain import explain  # imports jsonschema

    return explain(data)


def _path(data: Any, location: tuple[int | str, ...]) -> Path:
    """Pydantic's location without the names of the alternatives that it tried."""
    path: list[int | str] = []
    for step in location:
        inside = (isinstance(data, dict) and step in data) or (isinstance(data, list) and step in range(len(data)))
        if inside:
            path.append(step)
            data = data[step]
    return tuple(path)
