"""What bodies and queries are made of, and how they are read.

The one rule: a form names every field that a client may set; whatever else it sends is refused, and so is a value that
would have to be converted. All that is wrong is said at once, without the values.
"""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from portbroker.admin.endpoints import Refusal

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 20
"""Problems that are told of one body."""


class Form(BaseModel):
    """A body that a client sends: no field but those named, no conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class Query(BaseModel):
    """The query of a URL: no name but those given, each at most once; numbers are read from their digits."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Page(Query):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    after: str | None = Field(None, max_length=256, description="The `next` of the page before.")


def read_form(form: type[Model], body: bytes) -> Model:
    """The body as this form. Raises `Refusal`: 400 for what is not JSON, 422 with all that is wrong."""
    try:
        return form.model_validate_json(body or b"null")
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        if details[0]["type"] == "json_invalid":
            message = f"the body is not valid JSON: {details[0].get('ctx', {}).get('error', '')}"
            raise Refusal(400, "invalid", message) from None
        raise _refusal(details, "body") from None


def read_query(form: type[Model] | None, query: str) -> Model | None:
    """The query as this form. Raises `Refusal` (422)."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Refusal(400, "invalid", "the query of the URL is not UTF-8, or too long") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise Refusal(422, "invalid", f"`{name[:40]}` is in the query twice", param=name[:40])
        given[name] = value
    try:
        return (form or Query).model_validate(given)  # type: ignore[return-value]
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False, include_input=False), "query") from None


def _refusal(details: list[ErrorDetails], part: str) -> Refusal:
    problems = [_problem(detail) for detail in details[:_SHOWN]]
    first = problems[0]
    where = first["param"] or f"the {part}"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    message = f"{where}: {first['message']}{more}"
    return Refusal(422, "invalid", message, param=first["param"], more={"problems": problems})


def _problem(detail: ErrorDetails) -> dict[str, Any]:
    param = ""
    for step in detail["loc"]:
        param += f"[{step}]" if isinstance(step, int) else f".{step}" if param else str(step)
    return {"param": param[:200] or None, "message": _words(detail)}


_WORDS = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def _words(detail: ErrorDetails) -> str:
    if words := _WORDS.get(detail["type"]):
        return words
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return detail["msg"][:1].lower() + detail["msg"][1:]
