"""API keys as clients of the admin API write and see them.

The one rule: what a client may set is named here and nothing else is; the secret is in the one answer that makes it.
"""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from portbroker.admin.forms import Form
from portbroker.admin.times import Dollars, Moment, dollars, micros, nano, shown
from portbroker.store.records import ApiKey, Budget, KeyLimits, Scopes

_PLAIN = r"^[^\u0000-\u001f\u007f-\u009f]*$"
KeyName = Annotated[str, Field(min_length=1, max_length=100, pattern=_PLAIN)]
_Word = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)]
_Value = Annotated[str, Field(max_length=512, pattern=_PLAIN)]
_Glob = Annotated[str, Field(min_length=1, max_length=200, pattern=_PLAIN)]
_Globs = Annotated[list[_Glob], Field(max_length=100)]
_Count = Annotated[int, Field(ge=1, le=1_000_000_000)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no known time zone; write one such as Europe/Berlin") from None
    return name


_Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"]), AfterValidator(_zone)]


class ScopesForm(Form):
    """What a key may be used for, as globs. `null`: anything."""

    model_config = ConfigDict(title="Scopes")

    routes: _Globs | None = Field(None, examples=[["/v1/messages"]])
    models: _Globs | None = Field(None, examples=[["claude-*", "fast"]])
    providers: _Globs | None = Field(None, examples=[["OpenAI"]])


class LimitsForm(Form):
    """How much a key may ask for. `null`: as much as it likes."""

    model_config = ConfigDict(title="Limits")

    requests_per_minute: _Count | None = None
    tokens_per_minute: _Count | None = None
    concurrent: _Count | None = None


class BudgetForm(Form):
    """What a key may spend in a period, in US dollars. Weeks begin on Monday."""

    model_config = ConfigDict(title="Budget")

    amount: Dollars
    period: Literal["day", "week", "month", "total"]
    time_zone: _Zone = "UTC"


class KeyFields(Form):
    """What can be set of an API key, but for its name."""

    description: str = Field("", max_length=1000, pattern=_PLAIN)
    metadata: dict[_Word, _Value] = Field({}, max_length=50)
    tags: list[_Word] = Field([], max_length=20)
    expires_at: Moment | None = None
    enabled: bool = True
    admin: bool = Field(False, description="Whether the key may ask the admin API, and all of it.")
    scopes: ScopesForm = ScopesForm()
    limits: LimitsForm = LimitsForm()
    budget: BudgetForm | None = None


class NewKey(KeyFields):
    """An API key to be made, or all of one as it is to be."""

    model_config = ConfigDict(title="API key to write")

    name: KeyName


class KeyChange(KeyFields):
    """What is to be another; what is left out stays."""

    model_config = ConfigDict(title="Change of an API key")

    name: KeyName = ""


class Rotation(Form):
    """How a key gets another secret."""

    model_config = ConfigDict(title="Rotation")

    overlap_seconds: int = Field(0, ge=0, le=30 * 86400, description="How long the old secret stays good.")


class SpendingShown(BaseModel):
    """What of a budget is gone in the period that runs, in US dollars; `reserved` is for calls under way."""

    model_config = ConfigDict(title="Spending")

    period: str
    spent: float
    reserved: float


class KeyShown(BaseModel):
    """An API key, without its secret."""

    model_config = ConfigDict(title="API key")

    id: str
    name: str
    prefix: str
    description: str
    metadata: dict[str, str]
    tags: list[str]
    created_at: str
    expires_at: str | None
    enabled: bool
    revoked_at: str | None
    admin: bool
    scopes: ScopesForm
    limits: LimitsForm
    budget: BudgetForm | None
    spending: SpendingShown | None = Field(None, description="Of a key with a budget that is asked for by itself.")
    previous_until: str | None = Field(description="Until when the secret before the last rotation is good.")
    version: int


class KeyMade(KeyShown):
    """An API key with its secret, which is shown this once."""

    model_config = ConfigDict(title="API key with its secret")

    key: str


class KeysShown(BaseModel):
    """Some API keys, in the order in which they were made or nearly so; `next` is None at the end."""

    model_config = ConfigDict(title="API keys")

    data: list[KeyShown]
    next: str | None


class KeyDeleted(BaseModel):
    """There is no such key any more."""

    model_config = ConfigDict(title="Deleted API key")

    id: str
    deleted: bool


def fields_of(form: NewKey | KeyChange) -> dict[str, Any]:
    """All fields of `ApiKey` that a client may set, as the form has them."""
    return {
        "name": form.name,
        "description": form.description,
        "metadata": dict(form.metadata),
        "tags": tuple(dict.fromkeys(form.tags)),
        "expires_at": micros(form.expires_at),
        "enabled": form.enabled,
        "admin": form.admin,
        "scopes": Scopes(**_scopes(form.scopes)),
        "limits": KeyLimits(**form.limits.model_dump()),
        "budget": form.budget and Budget(nano(form.budget.amount), form.budget.period, form.budget.time_zone),
    }


def changes_of(form: KeyChange, key: ApiKey) -> dict[str, Any]:
    """Those fields that the form names. Of scopes and limits, what it does not name stays: no limit is lost unsaid."""
    values = {name: value for name, value in fields_of(form).items() if name in form.model_fields_set}
    if "scopes" in values:
        values["scopes"] = replace(key.scopes, **_scopes(form.scopes, exclude_unset=True))
    if "limits" in values:
        values["limits"] = replace(key.limits, **form.limits.model_dump(exclude_unset=True))
    return values


def _scopes(form: ScopesForm, *, exclude_unset: bool = False) -> dict[str, tuple[str, ...] | None]:
    given = form.model_dump(exclude_unset=exclude_unset)
    return {name: None if globs is None else tuple(globs) for name, globs in given.items()}


def key_values(key: ApiKey) -> dict[str, Any]:
    """What may be shown of a key, as `KeyShown` takes it."""
    budget = key.budget and BudgetForm(
        amount=dollars(key.budget.amount_nano), period=key.budget.period, time_zone=key.budget.time_zone
    )
    scopes = {name: globs and list(globs) for name, globs in asdict(key.scopes).items()}
    return {
        "id": key.id, "name": key.name, "prefix": key.prefix, "description": key.description,
        "metadata": dict(key.metadata), "tags": list(key.tags), "created_at": shown(key.created_at),
        "expires_at": shown(key.expires_at), "enabled": key.enabled, "revoked_at": shown(key.revoked_at),
        "admin": key.admin, "scopes": ScopesForm(**scopes), "limits": LimitsForm(**asdict(key.limits)),
        "budget": budget, "previous_until": shown(key.previous_until), "version": key.version,
    }  # fmt: skip
