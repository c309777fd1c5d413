"""Environment variables that override the file. One rule: a variable is checked like the value that it replaces."""

from typing import Any

from portbroker.config.environment import Environment
from portbroker.errors import Problem

_HIGHEST_PORT = 65535


def apply(data: Any, environment: Environment) -> tuple[Any, list[Problem]]:
    """The data with HOST and PORT in the place of `server.host` and `server.port`, and what is wrong with them."""
    values, problems = _server(environment)
    server = data.get("server") if isinstance(data, dict) else None
    if not values or not isinstance(data, dict) or not isinstance(server, (dict, type(None))):
        return data, problems
    return {**data, "server": {**(server or {}), **values}}, problems


def _server(environment: Environment) -> tuple[dict[str, Any], list[Problem]]:
    values: dict[str, Any] = {}
    if host := environment.variables.get("HOST", "").strip():
        values["host"] = host
    if not (port := environment.variables.get("PORT", "").strip()):
        return values, []
    if port.isascii() and port.isdigit() and int(port[:6]) <= _HIGHEST_PORT:
        return {**values, "port": int(port)}, []
    message = f"PORT must be a whole number from 0 to {_HIGHEST_PORT}"
    return values, [Problem(environment.origin("PORT"), 0, 0, message, "PORT", "correct the variable or unset it")]
