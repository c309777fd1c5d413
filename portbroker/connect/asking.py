"""What a gateway says of itself to a command: whether one is there, what it serves, and whether a key opens it.

The one rule: asking changes nothing, and never waits for long.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from portbroker.auth import is_loopback
from portbroker.errors import PortBrokerError

TIMEOUT: Final = 5.0
LARGEST: Final = 8 * 1024 * 1024


class Unreachable(PortBrokerError):
    """Nothing answers there; the message says in what way."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its status, and the object in its body, empty for what is none."""

    status: int
    body: Mapping[str, Any]

    @property
    def message(self) -> str:
        """What an error says."""
        error = self.body.get("error")
        return str(error.get("message", "")) if isinstance(error, dict) else ""


def ask(url: str, path: str, *, key: str = "", body: Mapping[str, Any] | None = None, timeout: float = TIMEOUT) -> Said:
    """What a server answers. Raises `Unreachable` when it does not."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url + path, orjson.dumps(body) if body is not None else None, headers)
    local = is_loopback(urlsplit(url).hostname or "")
    # A proxy of the environment is for the world outside.
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Said(answer.status, _object(answer.read(LARGEST)))
    except urllib.error.HTTPError as error:
        with error:
            return Said(error.code, _object(error.read(LARGEST)))
    except urllib.error.URLError as error:
        raise Unreachable(_why(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_why(error)) from error


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _why(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, http.client.HTTPException):
        return "what answers there does not speak HTTP"
    return str(getattr(reason, "strerror", None) or reason)


def is_portbroker(said: Said) -> bool:
    """Whether the first page of a server is ours."""
    return said.body.get("name") == "PortBroker"


def listed(said: Said) -> tuple[str, ...]:
    """The names of models in a list of them."""
    data = said.body.get("data")
    models = data if isinstance(data, list) else []
    return tuple(str(model["id"]) for model in models if isinstance(model, dict) and "id" in model)
