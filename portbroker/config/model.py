"""The words of the YAML: what a user writes, checked for itself alone. References are checked when it is compiled.

The one rule: frozen values with a description each, because the JSON Schema and editors' hovers come from here.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from portbroker.config.options import Options

DialectName = Literal["anthropic.messages", "openai.chat", "openai.responses"]
Tier = Literal["big", "medium", "small"]
OnLoss = Literal["report", "error"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(value: Any) -> Any:
    """`5s`, `1m`, `500ms` or a number of seconds as a float; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    return value


Seconds = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=float | Annotated[str, Field(pattern=r"^\d+(\.\d+)?(ms|s|m|h)?$")]),
    Field(gt=0, le=86400),
]


class Section(BaseModel):
    """A mapping of the file: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerConfig(Section):
    """Where PortBroker listens. Read at start; changing it asks for a restart."""

    host: str = "127.0.0.1"
    """The address to listen on. The environment variable HOST overrides it."""
    port: int = Field(8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one. The environment variable PORT overrides it."""
    max_body: int = Field(32 * 1024 * 1024, ge=1024)
    """The largest request body accepted, in bytes."""


class TimeoutConfig(Section):
    """How long each phase of an attempt may take."""

    connect: Seconds = 10.0
    """From nothing to a connection that can be written to, TLS included."""
    first_byte: Seconds = 120.0
    """From the request being sent to the first byte of the answer."""
    idle: Seconds = 300.0
    """Between two events of an answer; keep-alive comments do not count."""
    total: Seconds = 3600.0
    """The whole attempt."""


def _timeout(value: Any) -> Any:
    """A plain number or duration bounds the wait for the first byte and between events."""
    plain = seconds(value)
    return (
        {"first_byte": plain, "idle": plain}
        if isinstance(plain, (int, float)) and not isinstance(plain, bool)
        else value
    )


class TranslationMatch(Section):
    """When a translation chooses itself. All that is given must hold."""

    provider_type: str | tuple[str, ...] | None = None
    """The provider's `provider_type`."""
    base_url: str | None = None
    """A glob over host and path of the provider's base URL."""
    model: str | tuple[str, ...] | None = None
    """A glob, or several, over the upstream model."""


class AuthConfig(Section):
    """How the provider's credential is sent."""

    header: str
    value: str = "${key}"


class HeaderRules(Section):
    """Headers to add to, or leave out of, what is sent to the provider."""

    set: dict[str, str] = {}
    drop: tuple[str, ...] = ()


class ErrorRule(Section):
    """Which class an upstream error has. The first rule that matches wins."""

    id: str | None = None
    disable: bool = False
    when: dict[str, Any] = {}
    class_: str = Field("api", alias="class")
    message: str | None = None


class TranslationConfig(Section):
    """A field map: how a vendor differs from the plain dialect it speaks."""

    extends: tuple[str, ...] = ()
    match: TranslationMatch | None = None
    dialect: DialectName | None = None
    options: dict[str, Any] = {}
    url: str | None = None
    auth: AuthConfig | None = None
    headers: HeaderRules = HeaderRules()
    rules_on_passthrough: bool | None = None
    params: tuple[dict[str, Any], ...] = ()
    """Rules from the canonical parameters to the dialect's own; the built-in table of each dialect is written in it."""
    request: tuple[dict[str, Any], ...] = ()
    response: tuple[dict[str, Any], ...] = ()
    stream: tuple[dict[str, Any], ...] = ()
    errors: tuple[ErrorRule, ...] = ()


class ProviderConfig(Section):
    """An upstream account. These names are also those of `/admin/providers`."""

    name: str = Field(min_length=1)
    provider_type: str = "custom"
    base_url: str | None = None
    api_key: str | None = None
    big_model: str | None = None
    medium_model: str | None = None
    small_model: str | None = None
    models: tuple[str, ...] = ()
    is_active: bool = True
    priority: int = 100
    headers: dict[str, str] = {}
    timeout: Annotated[TimeoutConfig, BeforeValidator(_timeout)] = TimeoutConfig()
    translation: str | TranslationConfig | None = None
    on_loss: OnLoss | None = None
    pass_client_credentials: bool = False


class TargetConfig(Section):
    """One provider and the model name it knows."""

    provider: str
    model: str


class ModelConfig(Section):
    """A rule for requested models. The first rule whose `match` holds decides."""

    match: str
    tier: Tier | None = None
    targets: tuple[TargetConfig, ...] = ()


class RouteConfig(Section):
    """A path that clients call."""

    path: str
    dialect: DialectName
    on_loss: OnLoss = "report"


class Price(Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class CatalogEntry(Section):
    """What is known of a model."""

    context_window: int | None = Field(None, gt=0)
    max_output_tokens: int | None = Field(None, gt=0)
    price: Price | None = None
    options: dict[str, Any] = {}
    request: tuple[dict[str, Any], ...] = ()


class TestRequest(Section):
    path: str
    body: dict[str, Any]
    headers: dict[str, str] = {}


class TestConfig(Section):
    """A unit test of the configuration."""

    name: str
    request: TestRequest
    expect: dict[str, Any]


DEFAULT_ROUTES = (
    RouteConfig(path="/v1/messages", dialect="anthropic.messages"),
    RouteConfig(path="/api/anthropic/v1/messages", dialect="anthropic.messages"),
    RouteConfig(path="/v1/chat/completions", dialect="openai.chat"),
)
DEFAULT_MODELS = (
    ModelConfig(match="claude-*haiku*", tier="small"),
    ModelConfig(match="claude-*sonnet*", tier="medium"),
    ModelConfig(match="claude-*opus*", tier="big"),
)


class Config(Section):
    """portbroker.yaml."""

    server: ServerConfig = ServerConfig()
    providers: tuple[ProviderConfig, ...] = ()
    models: tuple[ModelConfig, ...] = DEFAULT_MODELS
    routes: tuple[RouteConfig, ...] = DEFAULT_ROUTES
    translations: dict[str, TranslationConfig] = {}
    catalog: dict[str, CatalogEntry] = {}
    tests: tuple[TestConfig, ...] = ()


__all__ = ["Config", "Options"]
