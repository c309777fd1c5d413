"""The words for who may call and change, what is kept of calls, and where limits are counted: `auth:`, `admin:`,
`usage:`, `limits:`.

The one rule: they are read at start; who may call does not change while somebody does.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, WithJsonSchema

from portbroker.config.fields import Int, Section

_AGE = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_AGE_FORM = "must be a number of hours, days or weeks such as 12h, 90d or 52w, or forever"
_BACKEND = r"^(redis|rediss|valkey|valkeys|unix)://.+$"
_BACKEND_FORM = "must be memory, database, or the URL of a Redis or Valkey: redis://HOST:6379/0"


def age_seconds(text: str) -> int | None:
    """The seconds of `90d`; None for `forever`. Raises ValueError."""
    if text == "forever":
        return None
    if not (match := _AGE.fullmatch(text)) or not int(match[1]):
        raise ValueError(_AGE_FORM)
    return int(match[1]) * _UNITS[match[2]]


def _age(text: str) -> str:
    age_seconds(text)
    return text


def _backend(value: SecretStr) -> SecretStr:
    if not re.match(_BACKEND, value.get_secret_value()):
        raise ValueError(_BACKEND_FORM)
    return value


_BackendUrl = Annotated[
    SecretStr,
    AfterValidator(_backend),
    WithJsonSchema({"type": "string", "pattern": rf"{_BACKEND}|\{{\{{", "patternErrorMessage": _BACKEND_FORM}),
]


class CallersConfig(Section):
    """Who may call. Read at start; changing it asks for a restart."""

    model_config = ConfigDict(title="Callers")

    calls: Literal["local", "key"] = "local"
    """`local`: on a loopback address, calls from this machine need no API key; beyond it, all do. `key`: all do."""


class AdminConfig(Section):
    """What the admin API may do with this file."""

    model_config = ConfigDict(title="Admin API")

    config_writes: Literal["allow", "deny"] = "allow"
    """`deny`: the file belongs to whoever commits it; a change of a provider is answered with the patch to commit."""


class UsageConfig(Section):
    """What is kept of calls, and for how long. Read at start; changing it asks for a restart."""

    model_config = ConfigDict(title="Usage")

    retention: Annotated[
        str,
        AfterValidator(_age),
        WithJsonSchema({
            "type": "string", "pattern": r"^([0-9]{0,4}[1-9][0-9]{0,4}[hdw]|forever)$|\{\{",
            "patternErrorMessage": _AGE_FORM,
        }),
    ] = Field("90d", examples=["90d", "52w", "forever"])  # fmt: skip
    """How long each call is kept. The sums by day, key, model and provider stay."""
    spool_limit: Int = Field(1 << 30, ge=1 << 20, examples=[1073741824])
    """The most bytes of calls that wait on disk for a database that cannot be reached."""


class SharedLimitsConfig(Section):
    """Where the limits of API keys are counted. Read at start; changing it asks for a restart."""

    model_config = ConfigDict(title="Limits of API keys")

    backend: Literal["memory", "database"] | _BackendUrl = Field(
        "memory", examples=["memory", "database", "redis://localhost:6379/0"]
    )
    """`memory`: on each machine for itself. For all replicas together: `database`, or the URL of a Redis or Valkey."""

    @property
    def url(self) -> str:
        """Where Redis or Valkey is, with its password; empty for the other backends."""
        return self.backend.get_secret_value() if isinstance(self.backend, SecretStr) else ""
