"""The words for what can be asked of a call in a model rule's `when`, and their grammar as JSON Schema.

The one rule: each word has one kind of value; `portbroker.facts` knows how each is found.
"""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["number", "flag", "text"]


@dataclass(frozen=True, slots=True)
class Word:
    """What kind of value a word stands for, and what it says. `values` when there are only a few."""

    kind: Kind
    description: str
    values: tuple[Any, ...] | None = None


_FLAG = (True, False)

WORDS: dict[str, Word] = {
    "input_tokens": Word("number", "The input tokens of the call, estimated."),
    "max_tokens": Word("number", "The output tokens that the client allows. Absent when it does not say."),
    "has_images": Word("flag", "Whether a message, or the result of a tool, holds an image.", _FLAG),
    "has_tools": Word("flag", "Whether the model may call tools.", _FLAG),
    "has_web_search": Word("flag", "Whether the provider is asked to search the web.", _FLAG),
    "thinking": Word("flag", "Whether the client asks the model to think.", _FLAG),
    "stream": Word("flag", "Whether the answer is to be streamed.", _FLAG),
    "key": Word("text", "The name of the caller's API key. Absent when the call has none."),
    "client": Word("text", "What the client speaks.", ("anthropic.messages", "openai.chat", "openai.responses")),
}
"""The words, by name."""

FAMILIES: dict[str, Word] = {
    "header": Word("text", "A header of the request."),
    "metadata": Word("text", "An entry of the body's `metadata`."),
}
"""Words that are followed by a dot and a name."""

KIND_NAMES: dict[Kind, str] = {"number": "a number", "flag": "true or false", "text": "a text"}


def _condition(word: Word) -> dict[str, Any]:
    if word.kind == "flag":
        return {"description": word.description, "$ref": "#/$defs/Condition", "examples": [True]}
    return {"description": word.description, "$ref": "#/$defs/Condition"}


CALL_WHEN: dict[str, Any] = {
    "type": "object",
    "title": "Conditions on a call",
    "description": "What the call must be like. All must hold; `any` holds when one of its members does.",
    "additionalProperties": False,
    "properties": {
        **{name: _condition(word) for name, word in WORDS.items()},
        "any": {
            "type": "array", "items": {"$ref": "#/$defs/CallWhen"}, "minItems": 1,
            "description": "Several of these mappings, one of which must hold.",
        },
    },
    "patternProperties": {rf"^{name}\..": _condition(word) for name, word in FAMILIES.items()},
    "examples": [{"input_tokens": {"gt": 60000}}, {"header.x-team": "research"}],
}  # fmt: skip
"""The grammar of such a `when`."""
