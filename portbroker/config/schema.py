"""The JSON Schema of the file: what editors check and complete by, and what problems are explained from.

The one rule: it is made from the models and the grammar of rules, never written by hand.
"""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from portbroker.config.call_words import CALL_WHEN
from portbroker.config.fields import Section
from portbroker.config.grammar import DEFINITIONS, Schema
from portbroker.config.model import Config
from portbroker.config.options import Options

ID = "https://portbroker.dev/schemas/portbroker.schema.json"
_RULE_LISTS = {
    "TranslationConfig": ("params", "request", "response", "stream"),
    "CatalogEntry": ("request",),
}


def schema() -> Schema:
    """The schema, draft 2020-12."""
    made = Config.model_json_schema()
    definitions = made.pop("$defs")
    options = Options.model_json_schema()
    for section in _sections():
        for base in section.__mro__:
            if issubclass(base, Section) and base is not Section:
                _describe(definitions.get(section.__name__, made), base)
    definitions |= DEFINITIONS | options.pop("$defs", {}) | {"Options": options, "CallWhen": CALL_WHEN}
    _insert_grammar(definitions)
    for part in (made, *definitions.values()):
        _tidy(part)
    made["properties"] = {name: _or_nothing(part) for name, part in made["properties"].items()}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID}
    return {**head, **made, "$defs": dict(sorted(definitions.items()))}


def _sections() -> Iterator[type[Section]]:
    """Every class of the file's words."""
    waiting = list(Section.__subclasses__())
    while waiting:
        section = waiting.pop()
        waiting += section.__subclasses__()
        yield section


def _describe(part: Schema, section: type[Section]) -> None:
    """Say of each key what stands under it in the source.

    pydantic can do this itself, but it would read the source at every start, and only the schema needs the words.
    """
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    for field, text in itertools.pairwise(getattr(body, "body", ())):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            name = section.model_fields[field.target.id].alias or field.target.id
            words = {"description": inspect.cleandoc(ast.literal_eval(text.value))}
            part["properties"][name] = dict(sorted({**part["properties"][name], **words}.items()))


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _insert_grammar(definitions: dict[str, Schema]) -> None:
    """Put the grammar in where the models only say: some mapping."""
    for name, lists in _RULE_LISTS.items():
        properties = definitions[name]["properties"]
        for rules in lists:
            properties[rules]["items"] = {"$ref": "#/$defs/Rule"}
        properties["options"] = _reference(properties["options"], "Options")
    errors = definitions["ErrorRule"]["properties"]
    errors["when"] = _reference(errors["when"], "When")
    rules = definitions["ModelConfig"]["properties"]
    rules["when"] = _reference(rules["when"], "CallWhen")


def _reference(part: Schema, name: str) -> Schema:
    kept: Schema = {key: part[key] for key in ("title", "description", "default", "examples") if key in part}
    return {"$ref": f"#/$defs/{name}", **kept}


def _or_nothing(part: Schema) -> Schema:
    """A section whose entries are all commented out is there, and empty."""
    if "type" in part:
        return {**part, "type": [part["type"], "null"]}
    kept = {key: value for key, value in part.items() if key != "$ref"}
    return {**kept, "anyOf": [{"$ref": part["$ref"]}, {"type": "null"}]}


def _tidy(part: Any) -> None:
    """Say `type: [string, null]` for one type or nothing: editors and people read it better."""
    if isinstance(part, list):
        for item in part:
            _tidy(item)
    if not isinstance(part, dict):
        return
    for item in part.values():
        _tidy(item)
    choices = part.get("anyOf")
    if isinstance(choices, list) and len(choices) == 2 and choices[1] == {"type": "null"}:
        _merge_choice(part, choices[0])


def _merge_choice(part: Schema, choice: Schema) -> None:
    if not isinstance(choice.get("type"), str):
        return
    del part["anyOf"]
    part.update(choice, type=[choice["type"], "null"])
    if "enum" in part:
        part["enum"] = [*part["enum"], None]
