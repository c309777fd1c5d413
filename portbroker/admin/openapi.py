"""The table as an OpenAPI 3.1 document. One rule: nothing is described that is not in the table, and all of it is."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from portbroker import __version__
from portbroker.admin.endpoints import JSON, Endpoint
from portbroker.conversation import Json

_REF = "#/components/schemas/{model}"
_NAMES = re.compile(r"\{(\w+)\}")

_SIGNED_IN = {
    401: "Nobody known asks: no credential, or one that is wrong, expired or revoked.",
    403: "Who asks is no admin, or comes from elsewhere.",
    429: "Too many failed sign-ins.",
    503: "The database cannot be reached to tell.",
}
_READS = {
    400: "The request cannot be read.",
    413: "The body is too large.",
    415: "The body is compressed in a way that is not known.",
    422: "The query or the body does not say what it must; `problems` has all that is wrong.",
}


class FaultShown(BaseModel):
    """One thing that is wrong: in the body or query at `param`, or in a file, at `path`, `line` and `column`."""

    model_config = ConfigDict(title="Fault")

    message: str
    param: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str | None = None
    hint: str | None = None


class ErrorShown(BaseModel):
    """What went wrong, and what to do."""

    model_config = ConfigDict(title="Error detail")

    kind: str
    message: str
    param: str | None = Field(description="The place in the body or the query that it is about.")
    request_id: str
    problems: list[FaultShown] | None = Field(None, description="All that is wrong, where that is more than one.")
    patch: str | None = Field(None, description="The change as a unified diff, where this server may not make it.")
    revision: str | None = Field(None, description="The revision that is served, where another was expected.")


class ErrorAnswer(BaseModel):
    """Every answer that is an error."""

    model_config = ConfigDict(title="Error")

    error: ErrorShown


def description(endpoints: Iterable[Endpoint]) -> Json:
    """The document."""
    rows = list(endpoints)
    schemas, definitions = _schemas(rows)
    paths: dict[str, Json] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    credential = {"type": "http", "scheme": "bearer", "description": "An admin key, or a token from /admin/login."}
    return {
        "openapi": "3.1.0",
        "info": {"title": "PortBroker admin API", "version": __version__},
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": {"admin": credential}},
        "security": [{"admin": []}],
    }


_Mode = Literal["validation", "serialization"]
_Schemas = Mapping[tuple[Any, _Mode], Json]


def _schemas(rows: list[Endpoint]) -> tuple[_Schemas, Json]:
    wanted: dict[tuple[type[BaseModel], _Mode], None] = {(ErrorAnswer, "serialization"): None}
    for row in rows:
        if row.body:
            wanted[row.body, "validation"] = None
        for model in filter(None, row.gives.values()):
            wanted[model, "serialization"] = None
    by_model, whole = models_json_schema(list(wanted), ref_template=_REF)
    return by_model, whole.get("$defs", {})


def _operation(row: Endpoint, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-z]+', '_', row.path.lower()).rstrip('_')}",
        "summary": row.summary,
        "tags": [row.tag or "admin"],
        "responses": _responses(row, schemas),
    }
    if row.open:
        operation["security"] = []
    if parameters := [*_path_parameters(row), *_query_parameters(row), *_header_parameters(row)]:
        operation["parameters"] = parameters
    if row.body:
        schema = schemas[row.body, "validation"]
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _path_parameters(row: Endpoint) -> list[Json]:
    schema = {"type": "string", "minLength": 1, "maxLength": 256}
    return [{"name": n, "in": "path", "required": True, "schema": schema} for n in _NAMES.findall(row.path)]


def _query_parameters(row: Endpoint) -> list[Json]:
    if row.query is None:
        return []
    schema = row.query.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inlined(property_, schema)}
        for name, property_ in schema.get("properties", {}).items()
    ]


def _inlined(schema: Json, whole: Json) -> Json:
    """A parameter's schema, whole: text that may be left out is text, and references have nowhere to lead to."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        schema = {**{k: v for k, v in schema.items() if k not in ("anyOf", "default")}, **options[0]}
    if ref := schema.get("$ref"):
        schema = {**whole["$defs"][ref.rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def _header_parameters(row: Endpoint) -> list[Json]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in row.reads.items()
    ]


def _responses(row: Endpoint, schemas: _Schemas) -> Json:
    responses: Json = {}
    for status, model in row.gives.items():
        responses[str(status)] = {"description": "Done.", **_content(row, schemas, model)}
    faults = {**_READS, **({} if row.open else _SIGNED_IN), **row.fails}
    error = {"content": {JSON: {"schema": schemas[ErrorAnswer, "serialization"]}}}
    for status, text in sorted(faults.items()):
        responses[str(status)] = {"description": text, **error}
    return responses


def _content(row: Endpoint, schemas: _Schemas, model: type[BaseModel] | None) -> Json:
    shown: Json = {type_: {"schema": {"type": "string"}} for type_ in row.also}
    if model is not None:
        shown[JSON] = {"schema": schemas[model, "serialization"]}
    elif not row.also and row.gives:
        shown[JSON] = {"schema": {"type": "object"}}
    return {"content": shown}
