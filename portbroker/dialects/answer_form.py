"""Structured output as OpenAI's APIs are asked for it.

The one rule: a provider that cannot be held to a schema is told it in words, and that is reported as weaker.
"""

from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects.schemas import openai_strict
from portbroker.dialects.written import compact

ANY_OBJECT: Final = "Respond with one valid JSON object and nothing else."
BY_SCHEMA: Final = "Respond with one JSON value that satisfies this JSON Schema, and nothing else:\n"

_PLACED: Final = frozenset({"effort", "format"})


def encode_form(params: Json, options: Options, report: Report) -> tuple[Json | None, str | None]:
    """The form that the answer must have, and what the system prompt must say where the form is not enough.

    The form is flat, as the Responses API has it: `type`, and for a schema `name`, `schema` and `strict`.
    """
    output_config = params.get("output_config") or {}
    for name, value in output_config.items():
        if name not in _PLACED and value is not None:
            report.add("dropped", f"output_config.{name}")
    path = "output_config.format"
    wanted = output_config.get("format")
    if wanted is None:
        path, wanted = "output_format", params.get("output_format")
    if not wanted or wanted["type"] == "text":
        return None, None
    if wanted["type"] == "json_object":
        return _any_object(path, options, report)
    if wanted["type"] == "json_schema":
        return _by_schema(wanted, path, options, report)
    report.add("dropped", path)
    return None, None


def _any_object(path: str, options: Options, report: Report) -> tuple[Json | None, str | None]:
    if options.json_ != "prompt":
        return {"type": "json_object"}, None
    report.add("degraded", path)
    return None, ANY_OBJECT


def _by_schema(wanted: Json, path: str, options: Options, report: Report) -> tuple[Json | None, str | None]:
    schema = wanted["schema"]
    if options.json_ == "json_schema":
        return {"type": "json_schema", **_named(wanted), "schema": schema, "strict": _strict(wanted)}, None
    report.add("degraded", path)
    return ({"type": "json_object"} if options.json_ == "json_object" else None), BY_SCHEMA + compact(schema, path)


def _named(wanted: Json) -> Json:
    """Name and description, which OpenAI's clients give and Anthropic's do not."""
    named: Json = {"name": wanted.get("_name") or "output"}
    return {**named, "description": wanted["_description"]} if wanted.get("_description") else named


def _strict(wanted: Json) -> bool:
    """Whether the schema is to be kept to the letter: as the client said, or else whenever it can be."""
    said = wanted.get("_strict")
    return said if isinstance(said, bool) else openai_strict(wanted["schema"])
