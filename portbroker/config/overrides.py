"""Environment variables that override the file. One rule: a variable is checked like the value that it replaces."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from portbroker.config.database import DatabaseType, database_url
from portbroker.config.environment import Environment
from portbroker.errors import Problem

_HIGHEST_PORT = 65535
_TYPES = get_args(DatabaseType)


def _text(value: str) -> str:
    return value


def _port(value: str) -> int:
    if value.isascii() and value.isdigit() and int(value[:6]) <= _HIGHEST_PORT:
        return int(value)
    raise ValueError(f"must be a whole number from 0 to {_HIGHEST_PORT}")


def _database_type(value: str) -> str:
    if value in _TYPES:
        return value
    raise ValueError(f"must be {', '.join(_TYPES[:-1])} or {_TYPES[-1]}")


def _url(value: str) -> str:
    if re.match(r"https?://[^\s/]", value):
        return value
    raise ValueError("must be a URL that begins with https:// or http://")


class Override(NamedTuple):
    """The place in the file that a variable replaces, and what makes a value of its text."""

    section: str
    key: str
    read: Callable[[str], Any]


OVERRIDES = {
    "HOST": Override("server", "host", _text),
    "PORT": Override("server", "port", _port),
    "PORTBROKER_STATE": Override("server", "state", _text),
    "DATABASE_TYPE": Override("database", "type", _database_type),
    "DATABASE_URL": Override("database", "url", database_url),
    "SUPABASE_URL": Override("database", "supabase_url", _url),
    "SUPABASE_KEY": Override("database", "supabase_key", _text),
}


def apply(data: Any, environment: Environment) -> tuple[Any, list[Problem]]:
    """The data with what the environment says in its place, and what is wrong with that."""
    problems: list[Problem] = []
    if not isinstance(data, dict):
        return data, problems
    for name, (section, key, read) in OVERRIDES.items():
        if not (text := environment.variables.get(name, "").strip()):
            continue
        try:
            data = _replaced(data, section, key, read(text))
        except ValueError as error:
            hint = "correct the variable or unset it"
            problems.append(Problem(environment.origin(name), 0, 0, f"{name} {error}", name, hint))
    return data, problems


def state_word(data: Any, environment: Environment) -> str:
    """The state directory as it is named, for what must be known before templates are rendered."""
    server = data.get("server") if isinstance(data, dict) else None
    word = server.get("state") if isinstance(server, dict) else None
    said = environment.variables.get("PORTBROKER_STATE", "").strip()
    return said or (word if isinstance(word, str) and word else environment.state)


def _replaced(data: dict[str, Any], section: str, key: str, value: Any) -> dict[str, Any]:
    old = data.get(section)
    return {**data, section: {**(old or {}), key: value}} if isinstance(old, (dict, type(None))) else data
