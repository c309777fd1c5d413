"""Values of a client's body, of the type that is needed, or a `CallError` that names their place.

The one rule: what is touched is checked here; what is not touched is not looked at.
"""

from typing import Any, NoReturn

from portbroker.conversation import Json
from portbroker.errors import CallError


def refuse(path: str, wanted: str) -> NoReturn:
    """Raise the error for a value of the wrong type or form."""
    raise CallError(f"Invalid value for '{path}': expected {wanted}.", param=path)


def text_in(value: object, path: str) -> str:
    return value if isinstance(value, str) else refuse(path, "a string")


def object_in(value: object, path: str) -> Json:
    return value if isinstance(value, dict) else refuse(path, "an object")


def list_in(value: object, path: str) -> list[Any]:
    return value if isinstance(value, list) else refuse(path, "an array")


def optional_list(value: object, path: str) -> list[Any]:
    """An array, empty when absent or null."""
    return [] if value is None else list_in(value, path)


def optional_text(body: Json, key: str) -> str | None:
    """A top-level text, None when absent or null."""
    value = body.get(key)
    return None if value is None else text_in(value, key)


def optional_flag(body: Json, key: str) -> bool | None:
    """A top-level boolean, None when absent or null."""
    value = body.get(key)
    return value if value is None or isinstance(value, bool) else refuse(key, "a boolean")


def optional_number(body: Json, key: str) -> int | float | None:
    """A top-level number, None when absent or null."""
    value = body.get(key)
    return None if value is None else value if _is_number(value) else refuse(key, "a number")


def optional_count(body: Json, key: str) -> int | None:
    """A top-level whole number of at least 1, None when absent or null."""
    value = body.get(key)
    if value is None:
        return None
    return value if isinstance(value, int) and _is_number(value) and value > 0 else refuse(key, "a positive integer")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
