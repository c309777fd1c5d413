"""Structured output as a chat provider is asked for it.

The one rule: a provider that cannot be held to a schema is told it in words, and that is reported as weaker.
"""

from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects.openai_chat.encode_parts import compact
from portbroker.dialects.schemas import openai_strict

ANY_OBJECT: Final = "Respond with one valid JSON object and nothing else."
BY_SCHEMA: Final = "Respond with one JSON value that satisfies this JSON Schema, and nothing else:\n"

_PLACED: Final = frozenset({"effort", "format"})


def encode_format(params: Json, options: Options, report: Report) -> tuple[Json, str | None]:
    """The keys that ask for structured output, and what the system prompt must say where they are not enough."""
    output_config = params.get("output_config") or {}
    for name, value in output_config.items():
        if name not in _PLACED and value is not None:
            report.add("dropped", f"output_config.{name}")
    path = "output_config.format"
    wanted = output_config.get("format")
    if wanted is None:
        path, wanted = "output_format", params.get("output_format")
    if not wanted or wanted["type"] == "text":
        return {}, None
    if wanted["type"] == "json_object":
        return _any_object(path, options, report)
    if wanted["type"] == "json_schema":
        return _by_schema(wanted["schema"], path, options, report)
    report.add("dropped", path)
    return {}, None


def _any_object(path: str, options: Options, report: Report) -> tuple[Json, str | None]:
    if options.json_ != "prompt":
        return {"response_format": {"type": "json_object"}}, None
    report.add("degraded", path)
    return {}, ANY_OBJECT


def _by_schema(schema: Json, path: str, options: Options, report: Report) -> tuple[Json, str | None]:
    if options.json_ == "json_schema":
        named = {"name": "output", "schema": schema, "strict": openai_strict(schema)}
        return {"response_format": {"type": "json_schema", "json_schema": named}}, None
    report.add("degraded", path)
    instruction = BY_SCHEMA + compact(schema, path)
    return ({"response_format": {"type": "json_object"}} if options.json_ == "json_object" else {}), instruction
