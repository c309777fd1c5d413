"""The words of `database:`. The one rule: a URL may hold a password, so nothing of one comes into a message."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, WithJsonSchema, model_validator

from portbroker.config.fields import Seconds, Secret, Section, Url
from portbroker.config.values import without_control_characters

DatabaseType = Literal["sqlite", "postgresql", "supabase"]

SQLITE = "sqlite:///./portbroker.db"
"""What is used when nothing is said: a file beside the configuration."""

_SCHEMES: dict[str, DatabaseType] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql",
}
_PATTERN = r"^(sqlite:///[^/]*/?.+|(postgres|postgresql|postgresql\+asyncpg)://.+)$"
URL_FORM = "must be sqlite:///./FILE, sqlite:////ABSOLUTE/FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def database_url(url: str) -> str:
    """The URL itself. Raises ValueError for one that names no database we know."""
    without_control_characters(url)
    if not re.fullmatch(_PATTERN, url):
        raise ValueError(URL_FORM)
    if url.endswith(":memory:"):
        raise ValueError("must be a file: what is only in memory is lost when PortBroker stops")
    return url


def type_of(url: str) -> DatabaseType:
    """The database that the URL is for."""
    return _SCHEMES[url.partition(":")[0]]


def _checked(value: SecretStr) -> SecretStr:
    database_url(value.get_secret_value())
    return value


_DatabaseUrl = Annotated[
    SecretStr,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "pattern": rf"{_PATTERN}|\{{\{{", "patternErrorMessage": URL_FORM}),
]


class OnDownConfig(Section):
    """What works on while the database cannot be reached."""

    model_config = ConfigDict(title="Without the database")

    known_keys_for: Seconds = Field(3600.0, examples=["1h"])
    """How long API keys that are known already go on working. Those that are not known get 503."""
    budgets: Literal["deny", "allow"] = "deny"
    """Whether calls of keys with a budget are refused, or go on and are paid later."""


class DatabaseConfig(Section):
    """Where API keys and usage are kept. Read at start; changing it asks for a restart."""

    model_config = ConfigDict(title="Database")

    type: DatabaseType | None = Field(None, examples=["postgresql"])
    """What kind of database it is; left out, what the URL says. The environment variable DATABASE_TYPE overrides it."""
    url: _DatabaseUrl | None = Field(
        None, examples=["sqlite:///./portbroker.db", "postgresql://portbroker@db.example/portbroker"]
    )
    """Where it is; left out, the file `portbroker.db` beside this one. DATABASE_URL overrides it."""
    supabase_url: Url | None = Field(None, examples=["https://abcdefgh.supabase.co"])
    """The URL of the Supabase project. SUPABASE_URL overrides it."""
    supabase_key: Secret | None = Field(None, examples=["{{ env.SUPABASE_KEY }}"])
    """Its secret key (`sb_secret_…`, or the older `service_role` key). SUPABASE_KEY overrides it."""
    on_down: OnDownConfig = OnDownConfig()
    """What works on while the database cannot be reached."""

    @property
    def kind(self) -> DatabaseType:
        """The kind of database, whether it was said or follows from the URL."""
        return self.type or type_of(self.location)

    @property
    def location(self) -> str:
        """The URL, with its password; empty when it is not said."""
        return self.url.get_secret_value() if self.url else SQLITE if self.type in (None, "sqlite") else ""

    @model_validator(mode="after")
    def _one_kind(self) -> Any:
        # What is lacking may come from the environment of the machine that serves: it is told at start.
        if self.url is not None and self.kind != "supabase" and type_of(self.location) != self.kind:
            raise ValueError(
                f"`type` says {self.kind}, but `url` is one of {type_of(self.location)}: correct one of them"
            )
        return self
