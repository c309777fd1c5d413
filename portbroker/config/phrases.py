"""What is wrong with a value, in our words. One rule: a value is shown only where it cannot be a secret."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from portbroker.config.place import Finding, Path
from portbroker.config.values import Rendered, core_scalar

_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "a mapping", "null": "nothing",
}  # fmt: skip
_WRITTEN_YES = frozenset(("yes", "on", "y", "1"))
_WRITTEN_NO = frozenset(("no", "off", "n", "0"))
# Words that people bring from elsewhere, and ours.
_ELSEWHERE = {
    "url": "base_url", "endpoint": "base_url", "api_base": "base_url", "base": "base_url", "host": "base_url",
    "key": "api_key", "token": "api_key", "type": "provider_type", "kind": "provider_type",
    "enabled": "is_active", "active": "is_active", "disabled": "is_active", "opus": "big_model",
    "sonnet": "medium_model", "haiku": "small_model", "large_model": "big_model", "model_name": "model",
    "name": "match", "pattern": "match", "order": "priority", "rename": "move", "remove": "drop", "delete": "drop",
    "add": "set", "replace": "map", "if": "when", "bind": "host", "address": "host", "listen": "host",
}  # fmt: skip
_NEVER_SHOWN = frozenset(("api_key", "headers", "value", "auth", "proxy"))
_LONGEST_SHOWN = 40
_LISTED = 12


def must_be(kinds: Iterable[str], instance: Any) -> tuple[str, str]:
    """That the value is of a wrong kind, and what to do."""
    kinds = list(kinds)
    wanted = _either([_KINDS[kind] for kind in kinds if kind != "null" or len(kinds) == 1])
    if instance is None:
        return f"is empty, but must be {wanted}", ""
    return f"must be {wanted}, not {kind_of(instance)}", _conversion(kinds, instance)


def kind_of(instance: Any) -> str:
    """`a list`, `text`…: what a value is."""
    if isinstance(instance, bool):
        return "true" if instance else "false"
    by_type = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping", type(None): "empty"}
    return by_type.get(type(instance), "text")


def _conversion(kinds: list[str], instance: Any) -> str:
    """How the value would be right, where it nearly is."""
    if isinstance(instance, Rendered):
        return "a template gives text; write the value itself"
    if isinstance(instance, str):
        return _conversion_of_text(kinds, instance)
    if "string" in kinds and isinstance(instance, (bool, int, float)):
        return "put it in quotes"
    if "array" in kinds and not isinstance(instance, dict):
        return "write it as a list: [ … ]"
    if "array" in kinds:
        return "begin each item with '- '"
    if "object" in kinds and "string" not in kinds and isinstance(instance, list):
        return "write `name: value` lines without '- '"
    return ""


def _conversion_of_text(kinds: list[str], text: str) -> str:
    if "boolean" in kinds and text.lower() in _WRITTEN_YES | _WRITTEN_NO | {"true", "false"}:
        return "write true" if text.lower() in _WRITTEN_YES | {"true"} else "write false"
    if "array" in kinds:
        return "write it as a list: [ … ]"
    if kinds == ["object"]:
        return "write `name: value` lines"
    numeric = {"integer", "number"} & set(kinds)
    return "take the quotes off" if numeric and _is_number(text) else ""


def _is_number(text: str) -> bool:
    try:
        return isinstance(core_scalar(text), (int, float))
    except ValueError:
        return False


def one_of(path: Path, allowed: list[Any], instance: Any) -> tuple[str, str]:
    """That the value is none of those allowed, with the nearest of them."""
    words = [str(word) for word in allowed if word is not None]
    shown = f", not {_shown(path, instance)}" if _shown(path, instance) else ""
    near = nearest(str(instance), words) if isinstance(instance, str) else ""
    if len(words) <= _LISTED:
        return f"must be {_either(words)}{shown}", near
    what = str(path[-1]).replace("_", " ") if path and isinstance(path[-1], str) else "word"
    return f"is no known {what}" + (
        f": {_shown(path, instance)}" if shown else ""
    ), near or f"known: {', '.join(words)}"


def unknown_key(key: str, known: list[str], homes: Iterable[str] = ()) -> tuple[str, str]:
    """That a key is not known here, with the nearest one that is, or the section where it belongs."""
    message = f"the key `{key[:_LONGEST_SHOWN]}` is not known here"
    hint = nearest(key, known)
    if not hint and (ours := _ELSEWHERE.get(key.lower())) in known:
        hint = f"did you mean `{ours}`?"
    if not hint and (places := sorted(homes)):
        hint = f"it belongs in {_either([f'`{place}`' for place in places[:3]])}"
    return message, hint or f"known: {', '.join(known)}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the known word that is most like this one, or nothing."""
    by_folded = {_folded(other): other for other in known}
    near = difflib.get_close_matches(_folded(word), by_folded, 1, 0.7)
    return f"did you mean `{by_folded[near[0]]}`?" if near else ""


def _folded(word: str) -> str:
    """`apiKey`, `api-key` and `API_KEY` are the same word to a person."""
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _shown(path: Path, instance: Any) -> str:
    """The value in quotes; nothing when it may be a secret or is not a short one."""
    if isinstance(instance, Rendered) or _NEVER_SHOWN & set(path):
        return ""
    if isinstance(instance, (bool, int, float)):
        return str(instance).lower()
    return f"'{instance}'" if isinstance(instance, str) and len(instance) <= _LONGEST_SHOWN else ""


def bound(path: Path, words: str, limit: Any, instance: Any) -> str:
    """That a number is out of bounds."""
    shown = _shown(path, instance)
    return f"must be {words} {limit}" + (f", not {shown}" if shown else "")


_PYDANTIC = {
    "greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le"),
    "greater_than": ("greater than", "gt"), "less_than": ("less than", "lt"),
}  # fmt: skip


def of_pydantic(path: Path, detail: ErrorDetails) -> Finding:
    """What pydantic found, for what the schema cannot know: our own checks, and what templates gave."""
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return Finding(path, str(context["error"]), at_key=detail["loc"][-1] == "[key]")
    if detail["type"] in _PYDANTIC:
        words, limit = _PYDANTIC[detail["type"]]
        return Finding(path, bound(path, words, context[limit], detail["input"]))
    kinds = {"int": "integer", "bool": "boolean", "float": "number", "string": "string", "tuple": "array"}
    kind = kinds.get(detail["type"].removesuffix("_type"))
    return Finding(path, *(must_be([kind], detail["input"]) if kind else ("is not what is expected here", "")))
