"""The words of the YAML: what a user writes, checked for itself alone. References are checked when it is compiled.

The one rule: frozen values with a description each, because the JSON Schema and editors' hovers come from here. What
pydantic accepts here, the JSON Schema accepts too: numbers and switches are strict, so that `port: "8000"` and
`is_active: no` (text, in YAML 1.2) are faults in both.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from portbroker.config.callers import AdminConfig, CallersConfig, SharedLimitsConfig, UsageConfig
from portbroker.config.database import DatabaseConfig
from portbroker.config.fields import (
    Bool,
    Count,
    Dollars,
    DurationText,
    HeaderName,
    HeaderValue,
    Int,
    Name,
    PlainSeconds,
    Seconds,
    Secret,
    Section,
    Url,
    UrlPath,
    seconds,
)
from portbroker.config.options import Options
from portbroker.config.proxies import ProxyWord
from portbroker.config.reliability import (
    BreakerConfig,
    HealthCheckConfig,
    HedgeConfig,
    Keys,
    LimitsConfig,
    RetryConfig,
)
from portbroker.config.reloading import ReloadConfig
from portbroker.config.responses import StoredResponsesConfig

DialectName = Literal["anthropic.messages", "openai.chat", "openai.responses"]
Tier = Literal["big", "medium", "small"]
OnLoss = Literal["report", "error"]
Strategy = Literal["priority", "weighted", "round_robin", "least_latency", "lowest_cost", "sticky"]
ProviderType = Literal[
    "openai", "azure", "anthropic", "gemini", "mistral", "perplexity", "ollama", "groq", "openrouter", "deepseek",
    "moonshot", "zai", "qwen", "minimax", "xai", "together", "fireworks", "vllm", "llamacpp", "lmstudio", "custom",
    "demo",
]  # fmt: skip
EndpointName = Literal[
    "embeddings", "completions", "moderations", "rerank", "images/generations", "images/edits", "images/variations",
    "audio/speech", "audio/transcriptions", "audio/translations", "messages/count_tokens", "responses/input_tokens",
    "responses/compact",
]  # fmt: skip
ErrorClass = Literal[
    "invalid", "auth", "billing", "permission", "not_found", "too_large",
    "context", "rate_limit", "overloaded", "timeout", "refused", "api",
]  # fmt: skip

_Auto = Annotated[
    Literal["auto"],
    WithJsonSchema({"type": "string", "pattern": "^auto$", "patternErrorMessage": "must be a whole number or auto"}),
]
Rule: TypeAlias = dict[str, Any]
"""A field map's rule. Its grammar is in the JSON Schema and in the compiler, which reads it one key at a time."""


_EXPECTATIONS: dict[str, dict[str, Any]] = {
    "provider": {"type": "string", "description": "The provider that the call goes to."},
    "model": {"type": "string", "description": "The provider's model that is asked."},
    "upstream": {"type": "object", "description": "A part of the body that would be sent."},
    "headers": {"type": "object", "description": "Headers that would be sent."},
    "adaptations": {"type": "array", "description": "What translation changed, such as `dropped:seed`. All of it."},
    "status": {"type": "integer", "description": "The status that the client gets."},
    "error": {"type": ["string", "object"], "description": "The error's type, code or words; or a part of its body."},
}
_KINDS = {"string": str, "object": dict, "array": list, "integer": int}


def _expectation(value: dict[str, Any]) -> dict[str, Any]:
    """What the schema says of it, for pydantic."""
    for name, expected in value.items():
        kinds = _EXPECTATIONS.get(name, {}).get("type", ())
        allowed = tuple(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
        if not isinstance(expected, allowed) or isinstance(expected, bool):
            raise ValueError(f"`{name}` cannot be expected like this")  # noqa: TRY004 - pydantic wants this one
    return value


Expectation = Annotated[
    dict[str, Any],
    AfterValidator(_expectation),
    WithJsonSchema({"type": "object", "properties": _EXPECTATIONS, "additionalProperties": False}),
]


def _base(url: str) -> str:
    """The URL itself; raises ValueError for one that already ends in what a dialect adds."""
    for ending in ("/chat/completions", "/messages", "/responses"):
        if url.rstrip("/").endswith(ending):
            raise ValueError(f"must end before {ending}, which is added by itself")
    return url


class ServerConfig(Section):
    """Where PortBroker listens. Read at start; changing it asks for a restart."""

    model_config = ConfigDict(title="Server")

    host: str = Field("127.0.0.1", min_length=1, examples=["127.0.0.1", "0.0.0.0", "::1"])
    """The address to listen on. The environment variable HOST overrides it."""
    port: Int = Field(8000, ge=0, le=65535, examples=[8000])
    """The port to listen on; 0 takes a free one. The environment variable PORT overrides it."""
    workers: Annotated[int, Strict(), Field(ge=1, le=256)] | _Auto = Field(1, examples=[2, "auto"])
    """The processes that share the port; `auto` starts one for each core that this process may use."""
    max_body: Int = Field(32 * 1024 * 1024, ge=1024, examples=[33554432])
    """The largest request body accepted, in bytes."""
    state: Name = Field(".portbroker", examples=[".portbroker", "/var/lib/portbroker"])
    """The directory for what one gateway keeps for itself, counted from this file. PORTBROKER_STATE overrides it."""


class TimeoutConfig(Section):
    """How long each phase of an attempt may take: seconds, or text such as `500ms`, `5s`, `2m`."""

    model_config = ConfigDict(title="Timeout")

    connect: Seconds = Field(10.0, examples=["5s"])
    """From nothing to a connection that can be written to, TLS included."""
    first_byte: Seconds = Field(120.0, examples=["60s"])
    """From the request being sent to the first content of the answer, as long as another target could be tried."""
    idle: Seconds = Field(300.0, examples=["60s"])
    """Between two events of an answer; keep-alive comments do not count."""
    total: Seconds = Field(3600.0, examples=["10m"])
    """The whole attempt."""


def _timeout(value: Any) -> Any:
    """A plain number or duration bounds the wait for the first byte and between events."""
    plain = seconds(value)
    if isinstance(plain, (int, float)) and not isinstance(plain, bool):
        return {"first_byte": plain, "idle": plain}
    return value


class TranslationMatch(Section):
    """When a translation chooses itself. All that is given must hold."""

    model_config = ConfigDict(title="Match")

    provider_type: ProviderType | tuple[ProviderType, ...] | None = Field(None, examples=["groq"])
    """The provider's `provider_type`, or several."""
    base_url: Name | None = Field(None, examples=["api.groq.com/*"])
    """A glob over host and path of the provider's base URL."""
    model: Name | tuple[Name, ...] | None = Field(None, examples=["gpt-5*", ["o3*", "o4*"]])
    """A glob, or several, over the upstream model."""


class AuthConfig(Section):
    """How the provider's credential is sent."""

    model_config = ConfigDict(title="Credential")

    header: Name = Field(examples=["authorization", "api-key", "x-api-key"])
    """The name of the header."""
    value: HeaderValue = Field("${key}", examples=["Bearer ${key}"])
    """Its value; `${key}` is the provider's `api_key`."""


class HeaderRules(Section):
    """Headers to add to, or leave out of, what is sent to the provider."""

    model_config = ConfigDict(title="Header rules")

    set: dict[HeaderName, HeaderValue] = Field({}, examples=[{"x-title": "PortBroker"}])
    """Headers to send, by name. `${model}`, `${base}` and `${key}` stand for what they say."""
    drop: tuple[str, ...] = Field((), examples=[["anthropic-beta"]])
    """Headers to leave out."""


class ErrorRule(Section):
    """Which class an upstream error has. The first rule that matches wins."""

    model_config = ConfigDict(title="Error rule")

    id: Name | None = None
    """A name, so that a translation which extends this one can replace or disable the rule."""
    disable: Bool = False
    """Take the inherited rule of this `id` away."""
    when: dict[str, Any] = Field({}, examples=[{"error.code": "content_filter"}])
    """Conditions over the error's body, and over `status`. All must hold; without any, the rule always matches."""
    class_: ErrorClass = Field("api", alias="class", examples=["rate_limit"])
    """What kind of error it is. The class decides whether another target is tried, and the status the client sees."""
    message: Name | None = Field(None, examples=["${base_resp.status_msg}"])
    """The message for the client; `${path}` reads the error's body."""


class TranslationConfig(Section):
    """A field map: how a vendor differs from the plain dialect it speaks."""

    model_config = ConfigDict(title="Translation")

    extends: tuple[Name, ...] = Field((), examples=[["openai"]])
    """Translations and presets to start from. The later win; a rule of the same `id` is replaced in its place."""
    match: TranslationMatch | None = None
    """When this translation is taken without a provider naming it."""
    dialect: DialectName | None = Field(None, examples=["openai.chat"])
    """What the provider speaks."""
    options: dict[str, Any] = Field({}, examples=[{"max_tokens_field": "max_completion_tokens"}])
    """Facts about the vendor that no rule can say."""
    url: Name | None = Field(
        None, examples=["${base}/openai/deployments/${model}/chat/completions?api-version=2024-10-21"]
    )
    """Where calls go. `${base}` is the provider's `base_url`, `${model}` the upstream model."""
    auth: AuthConfig | None = None
    """How the credential is sent."""
    headers: HeaderRules = HeaderRules()
    """Headers to add or to leave out."""
    rules_on_passthrough: Bool | None = None
    """Run the request rules also when client and provider speak the same dialect."""
    params: tuple[Rule, ...] = Field((), examples=[[{"move": {"from": "max_tokens", "to": "max_completion_tokens"}}]])
    """Rules from the canonical parameters to the dialect's own; the built-in table of each dialect is written in it."""
    request: tuple[Rule, ...] = Field((), examples=[[{"id": "no-seed", "drop": "seed", "report": True}]])
    """Rules over the body that is sent to the provider."""
    response: tuple[Rule, ...] = Field(
        (), examples=[[{"map": {"path": "choices[*].finish_reason", "values": {"model_length": "length"}}}]]
    )
    """Rules over a whole answer of the provider."""
    stream: tuple[Rule, ...] = Field((), examples=[[{"move": {"from": "x_groq.usage", "to": "usage"}}]])
    """Rules over each chunk of a streamed answer."""
    errors: tuple[ErrorRule, ...] = Field((), examples=[[{"when": {"status": 402}, "class": "billing"}]])
    """Which class the provider's errors have. The first rule that matches wins."""


class ProviderConfig(Section):
    """An upstream account. These names are also those of `/admin/providers`."""

    model_config = ConfigDict(title="Provider")

    name: Name = Field(examples=["OpenAI", "Local Ollama"])
    """What this provider is called in rules, headers and logs. Clients may ask for `Name/model`."""
    provider_type: ProviderType = Field("custom", examples=["openai", "anthropic", "ollama"])
    """The preset that knows the vendor: base URL, dialect, how the key is sent, field maps. `custom` knows nothing."""
    base_url: Annotated[Url, AfterValidator(_base)] | None = Field(
        None, examples=["https://api.openai.com/v1", "http://localhost:11434/v1"]
    )
    """Where the provider's API begins. The preset's own when left out."""
    api_key: Secret | None = Field(None, examples=["{{ env.OPENAI_API_KEY }}", "{{ secret.openai }}"])
    """The credential, best as a template. A provider whose variable is not set is inactive, and says so."""
    api_keys: Keys = Field((), examples=[["{{ env.KEY_1 }}", {"name": "team-b", "key": "{{ env.KEY_2 }}"}]])
    """Several credentials instead of `api_key`, used in turn. One that is refused, or has no quota left, rests."""
    big_model: Name | None = Field(None, examples=["gpt-5.2"])
    """The provider's model for the tier `big` (Claude Opus)."""
    medium_model: Name | None = Field(None, examples=["gpt-5.2"])
    """The provider's model for the tier `medium` (Claude Sonnet)."""
    small_model: Name | None = Field(None, examples=["gpt-5-mini"])
    """The provider's model for the tier `small` (Claude Haiku)."""
    models: tuple[Name, ...] = Field((), examples=[["gpt-5*", "o4-mini"]])
    """Models, or globs over models, that clients may ask for by the provider's own name."""
    endpoints: tuple[EndpointName, ...] | None = Field(None, examples=[["embeddings", "rerank"]])
    """What this provider has beside calls, under its base URL. The preset's own when left out; `[]` for nothing."""
    is_active: Bool = True
    """Whether calls may go here."""
    priority: Int = Field(100, ge=0, le=1_000_000, examples=[1, 10])
    """Providers are tried in this order, the lowest number first."""
    headers: dict[HeaderName, HeaderValue] = Field({}, repr=False, examples=[{"x-title": "my gateway"}])
    """Headers to send with every request, beside the preset's."""
    timeout: Annotated[
        TimeoutConfig, BeforeValidator(_timeout, json_schema_input_type=PlainSeconds | DurationText | TimeoutConfig)
    ] = Field(TimeoutConfig(), examples=[60, "2m", {"connect": "5s", "idle": "60s"}])
    """How long to wait. A single number bounds the wait for the first byte and between two events."""
    proxy: ProxyWord | None = Field(None, examples=["http://proxy.example:3128", "{{ env.PROXY_URL }}", "none"])
    """The HTTP proxy that connections go through. Left out, the environment's (HTTPS_PROXY); `none` goes direct."""
    ca_file: Name | None = Field(None, examples=["certs/office-ca.pem"])
    """A file of the authorities to trust instead of the system's, in PEM form. Its path is counted from this file."""
    client_cert: Name | None = Field(None, examples=["certs/gateway.pem"])
    """A file with the certificate to show to the provider and its key, in PEM form and not encrypted."""
    limits: LimitsConfig | None = Field(None, examples=[{"concurrency": 8, "queue": 32}])
    """What this provider may be asked at once and in a minute; without it, as much as anyone likes."""
    breaker: BreakerConfig | None = Field(None, examples=[{"failures": 3}])
    """When this provider is left alone, and for how long. What is left out is as `breaker` of the file says."""
    health_check: HealthCheckConfig | None = Field(None, examples=[{"interval": "30s", "path": "/models"}])
    """Probe this provider, so that it is known to be ill or well before a call finds out."""
    translation: Name | TranslationConfig | None = Field(None, examples=["my-translation"])
    """The name of a translation, or rules for this provider alone. Otherwise the preset's own."""
    on_loss: OnLoss | None = None
    """What happens when translation must drop or weaken something: `report` in a header, or `error`."""
    pass_client_credentials: Bool = False
    """Send the client's own credential instead of `api_key`."""


class TargetConfig(Section):
    """One provider and the model name it knows."""

    model_config = ConfigDict(title="Target")

    provider: Name = Field(examples=["OpenAI"])
    """The name of a provider."""
    model: Name = Field(examples=["gpt-5-mini", "vendor/{{ match[1] }}"])
    """The model, by the provider's name for it. `{{ match[1] }}` is what the first `*` of the rule's `match` took."""
    weight: Annotated[int, Strict(), Field(ge=0, le=1_000_000)] | None = Field(None, examples=[3])
    """Its share of the calls under `weighted` and `sticky`, 1 when left out; 0: only tried when the others fail."""


class StickyConfig(Section):
    """What keeps calls together under the strategy `sticky`."""

    model_config = ConfigDict(title="Sticky")

    by: Annotated[
        str,
        Field(
            pattern=r"^(session|prompt|header\.[A-Za-z0-9_-]+|metadata\.[^.\s]+)$",
            json_schema_extra={"patternErrorMessage": "must be session, prompt, header.NAME or metadata.NAME"},
        ),
    ] = Field("session", examples=["prompt", "header.x-team", "metadata.user_id"])
    """`session` (else user, else prompt), `prompt` (its stable beginning), or a header or metadata (else prompt)."""


class FallbackConfig(Section):
    """Models to ask when a call is refused for what it is, and no other target of the rule would take it."""

    model_config = ConfigDict(title="Fallbacks")

    context_window: tuple[Name, ...] = Field((), examples=[["long"]])
    """Asked, in this order, when the prompt is too long. Each name is found like one that a client asks for."""
    content_policy: tuple[Name, ...] = Field((), examples=[["careful"]])
    """Asked, in this order, when the provider's content policy refuses the call."""


class ModelConfig(Section):
    """A rule for requested models: the first whose `match` (or `regex`) and `when` hold decides."""

    model_config = ConfigDict(title="Model rule")

    match: Name | None = Field(None, examples=["claude-*haiku*", "fast"])
    """A glob over the model that the client asks for. A rule has this or `regex`."""
    regex: Name | None = Field(None, examples=["gpt-(4|5)[a-z-]*"])
    """A regular expression that the whole model must match."""
    when: dict[str, Any] = Field({}, examples=[{"input_tokens": {"gt": 60000}}, {"thinking": True}])
    """Conditions on the call itself. All must hold; without any, the rule always does."""
    tier: Tier | None = Field(None, examples=["small"])
    """Send to each active provider's model of this tier. A rule has one of `tier`, `targets` and `model`."""
    targets: tuple[TargetConfig, ...] = Field((), examples=[[{"provider": "OpenAI", "model": "gpt-5-mini"}]])
    """Send to exactly these."""
    model: Name | None = Field(None, examples=["gpt-5-mini", "{{ match[1] }}"])
    """Go on as if this model had been asked for. `{{ match[1] }}` is what the first `*`, or group, took."""
    providers: tuple[Name, ...] = Field((), examples=[["OpenAI", "Azure"]])
    """With `tier`: only these providers. With `model`: ask these for it, by that name."""
    strategy: Strategy | None = Field(None, examples=["weighted"])
    """Which target is tried first, and which next. `priority`, the order in which they stand, when left out."""
    sticky: StickyConfig | None = Field(None, examples=[{"by": "header.x-team"}])
    """What keeps calls together under the strategy `sticky`."""
    fallbacks: FallbackConfig = Field(FallbackConfig(), examples=[{"context_window": ["long"]}])
    """Models to ask when a call is refused for what it is."""
    timeout: (
        Annotated[
            TimeoutConfig,
            BeforeValidator(_timeout, json_schema_input_type=PlainSeconds | DurationText | TimeoutConfig),
        ]
        | None
    ) = Field(None, examples=["30s", {"first_byte": "20s"}])
    """How long to wait, for calls by this rule. What is left out is as the provider has it."""
    hedge: HedgeConfig | None = Field(None, examples=[{"after": "2s"}])
    """Start a second target when the first is slow to speak."""


class RouteConfig(Section):
    """A path that clients call."""

    model_config = ConfigDict(title="Route")

    path: UrlPath = Field(examples=["/v1/messages"])
    """The path, without host and query."""
    dialect: DialectName = Field(examples=["anthropic.messages"])
    """What clients speak there."""
    on_loss: OnLoss = "report"
    """What happens when translation must drop or weaken something: `report` in a header, or `error`."""


class Price(Section):
    """US dollars per million tokens."""

    model_config = ConfigDict(title="Price")

    input: Dollars = Field(examples=[0.25])
    """Input tokens."""
    output: Dollars = Field(examples=[2.0])
    """Output tokens, reasoning included."""
    cached_input: Dollars | None = Field(None, examples=[0.025])
    """Input tokens read from the provider's cache."""
    cache_write: Dollars | None = Field(None, examples=[0.3125])
    """Input tokens written to the provider's cache."""


class CatalogEntry(Section):
    """What is known of a model."""

    model_config = ConfigDict(title="Catalog entry")

    context_window: Count | None = Field(None, examples=[400000])
    """The most tokens, input and output together."""
    max_output_tokens: Count | None = Field(None, examples=[128000])
    """The most tokens of one answer."""
    created: Int | None = Field(None, ge=0, examples=[1754524800])
    """When it came out, in Unix seconds; shown in the list of models."""
    price: Price | None = None
    """What it costs."""
    options: dict[str, Any] = Field({}, examples=[{"vision": False}])
    """Facts about the model, over those of the vendor."""
    request: tuple[Rule, ...] = Field((), examples=[[{"drop": "temperature", "report": True}]])
    """Rules over the body that is sent, after those of the translation."""


class TestRequest(Section):
    """A client's request."""

    __test__: ClassVar[bool] = False  # nothing for pytest to collect
    model_config = ConfigDict(title="Test request")

    path: UrlPath = Field(examples=["/v1/messages"])
    """A path of `routes`."""
    body: dict[str, Any]
    """The body, as the client would send it."""
    headers: dict[str, str] = Field({})
    """The client's headers."""
    key: Name | None = Field(None, examples=["research"])
    """The name of the API key that the client shows."""


class TestConfig(Section):
    """A unit test of the configuration."""

    __test__: ClassVar[bool] = False  # nothing for pytest to collect
    model_config = ConfigDict(title="Test")

    name: Name = Field(examples=["haiku goes to the small model"])
    """What is claimed."""
    request: TestRequest
    """What a client sends."""
    expect: Expectation = Field(
        examples=[{"provider": "OpenAI", "model": "gpt-5-mini", "upstream": {"max_completion_tokens": 10}}]
    )
    """What must come of it. Only what is named here is compared."""


DEFAULT_ROUTES = (
    RouteConfig(path="/v1/messages", dialect="anthropic.messages"),
    RouteConfig(path="/api/anthropic/v1/messages", dialect="anthropic.messages"),
    RouteConfig(path="/v1/chat/completions", dialect="openai.chat"),
    RouteConfig(path="/v1/responses", dialect="openai.responses"),
)
DEFAULT_MODELS = (
    ModelConfig(match="claude-*haiku*", tier="small"),
    ModelConfig(match="claude-*sonnet*", tier="medium"),
    ModelConfig(match="claude-*opus*", tier="big"),
)


class Config(Section):
    """portbroker.yaml: the routes, the providers and the rules between them."""

    model_config = ConfigDict(title="PortBroker configuration")

    include: tuple[Name, ...] = Field((), examples=[["providers/*.yaml"]])
    """Files, or globs over files, in this directory or below it, whose content counts as if it stood here."""
    server: ServerConfig = ServerConfig()
    """Where PortBroker listens."""
    database: DatabaseConfig = DatabaseConfig()
    """Where API keys and usage are kept."""
    admin: AdminConfig = AdminConfig()
    """What the admin API may do with this file."""
    auth: CallersConfig = CallersConfig()
    """Who may call."""
    usage: UsageConfig = UsageConfig()
    """What is kept of calls, and for how long."""
    limits: SharedLimitsConfig = SharedLimitsConfig()
    """Where the limits of API keys are counted."""
    reload: ReloadConfig = ReloadConfig()
    """How a change of this file takes effect."""
    providers: tuple[ProviderConfig, ...] = ()
    """The upstream accounts. Without an active one, a built-in `demo` provider answers."""
    models: tuple[ModelConfig, ...] = DEFAULT_MODELS
    """Where a requested model goes; the first match wins. Left out: haiku is small, sonnet medium, opus big."""
    routes: tuple[RouteConfig, ...] = DEFAULT_ROUTES
    """The paths that clients call. Left out: the usual paths of each dialect."""
    retry: RetryConfig = RetryConfig()
    """How a call that failed is tried again."""
    breaker: BreakerConfig = BreakerConfig()
    """When a provider that fails is left alone."""
    stored_responses: StoredResponsesConfig = StoredResponsesConfig()
    """What the Responses API may go on from, by `previous_response_id`."""
    translations: dict[str, TranslationConfig] = Field({})
    """Field maps of your own, by name."""
    catalog: dict[str, CatalogEntry] = Field({})
    """What is known of models, by name or glob; over the built-in entries."""
    tests: tuple[TestConfig, ...] = ()
    """Unit tests of this file, run by `portbroker test`."""


__all__ = ["Config", "Options"]
