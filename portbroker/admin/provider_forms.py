"""Providers as clients of the admin API write and see them: the fields that the file has, under the same names.

The one rule: nobody is shown a secret, and no template comes in by a request; what is a reference in the file is shown
as one, and stays when it is sent back.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from portbroker.admin.destinations import refuse_destination
from portbroker.admin.forms import Form
from portbroker.config.model import ProviderType
from portbroker.config.rendering import is_template
from portbroker.config.values import fit_for_header, header_name, plain_ascii
from portbroker.conversation import Json

HIDDEN = "[hidden]"
"""Stands for a value that is not shown; sent back, it means that the value stays."""
_REFERENCE = re.compile(r"\{\{ *(env|secret)\.[A-Za-z][A-Za-z0-9_]* *\}\}")
_PLAIN = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_SECONDS = r"^\d{1,6}(\.\d{1,3})?(ms|s|m|h)?$"


def _no_template(text: str) -> str:
    if is_template(text):
        raise ValueError("templates are written in the file itself; post the value")
    return text


def _url(text: str) -> str:
    refuse_destination(text)
    return text


def _credential(text: str) -> str:
    return text if _REFERENCE.fullmatch(text) else plain_ascii(_no_template(text))


def _header_value(text: str) -> str:
    return text if _REFERENCE.fullmatch(text) else fit_for_header(_no_template(text))


_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_PLAIN), AfterValidator(_no_template)]
_Url = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^https?://[^\s\u0000-\u001f]+$"),
                 AfterValidator(_no_template), AfterValidator(_url)]  # fmt: skip
_Credential = Annotated[str, Field(min_length=1, max_length=8192, pattern=r"^[\u0020-\u007e]+$"),
                        AfterValidator(_credential)]  # fmt: skip
_HeaderName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(header_name)]
_HeaderValue = Annotated[str, Field(max_length=4096), AfterValidator(_header_value)]
_Seconds = Annotated[float, Field(gt=0, le=86400)] | Annotated[str, Field(pattern=_SECONDS)]


class TimeoutForm(Form):
    """How long each phase of an attempt may take: seconds, or text such as `500ms`, `5s`, `2m`."""

    model_config = ConfigDict(title="Timeout")

    connect: _Seconds | None = None
    first_byte: _Seconds | None = None
    idle: _Seconds | None = None
    total: _Seconds | None = None


class ProviderChange(Form):
    """What is to be another of a provider; what is left out stays, and `null` takes it out of the file."""

    model_config = ConfigDict(title="Change of a provider")

    name: _Name = ""
    provider_type: ProviderType | None = None
    base_url: _Url | None = Field(None, examples=["https://api.openai.com/v1"])
    api_key: _Credential | None = Field(None, repr=False, description="Kept in the secrets file; never shown.")
    big_model: _Name | None = None
    medium_model: _Name | None = None
    small_model: _Name | None = None
    is_active: bool | None = None
    priority: int | None = Field(None, ge=0, le=1_000_000)
    headers: dict[_HeaderName, _HeaderValue] | None = Field(None, repr=False, max_length=50)
    timeout: _Seconds | TimeoutForm | None = None

    def written(self, names: set[str]) -> dict[str, Any]:
        """These of its fields as the file has them; None for what is not to be there."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name in names}
        if isinstance(self.timeout, TimeoutForm) and "timeout" in values:
            values["timeout"] = self.timeout.model_dump(exclude_none=True) or None
        if self.headers is not None and "headers" in values:
            values["headers"] = dict(self.headers) or None
        return values


class NewProvider(ProviderChange):
    """A provider to be added, or all of one as it is to be; `null` is what the preset says."""

    model_config = ConfigDict(title="Provider to write")

    name: _Name


FIELDS = tuple(ProviderChange.model_fields)


class ProviderShown(BaseModel):
    """A provider as the file has it. `active` and `reason` are how it is served."""

    model_config = ConfigDict(title="Provider")

    name: str
    provider_type: str
    base_url: str | None
    api_key: str | None = Field(description=f"The reference to it in the file, or `{HIDDEN}`.")
    big_model: str | None
    medium_model: str | None
    small_model: str | None
    is_active: bool
    priority: int
    headers: dict[str, str]
    timeout: float | str | dict[str, float | str] | None
    active: bool
    reason: str


class ProvidersShown(BaseModel):
    """All providers, in the order of the file, and the revision of the file."""

    model_config = ConfigDict(title="Providers")

    data: list[ProviderShown]
    revision: str


class ProviderDeleted(BaseModel):
    """There is no such provider any more."""

    model_config = ConfigDict(title="Deleted provider")

    name: str
    deleted: bool


def provider_shown(raw: Mapping[str, Any], active: bool, reason: str) -> ProviderShown:
    """A provider of the file, unrendered, as it may be shown."""
    key = raw.get("api_key")
    return ProviderShown(
        name=str(raw["name"]), provider_type=raw.get("provider_type", "custom"), base_url=raw.get("base_url"),
        api_key=None if key is None else veiled(key),
        **{tier: raw.get(tier) for tier in ("big_model", "medium_model", "small_model")},
        is_active=raw.get("is_active", True) is not False, priority=_number(raw.get("priority")),
        headers=_veiled_headers(raw), timeout=raw.get("timeout"), active=active, reason=reason,
    )  # fmt: skip


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 100


def _veiled_headers(raw: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): veiled(value) for name, value in (raw.get("headers") or {}).items()}


def veiled(value: Any) -> str:
    """A reference as it stands, anything else hidden: a template may hold a secret as its default."""
    return value if isinstance(value, str) and _REFERENCE.fullmatch(value) else HIDDEN


def unveiled(written: dict[str, Any], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is to be written, with what stays in the place of what stood for it; and the names of what stays.

    Raises ValueError with the name of a field that has a reference of its own.
    """
    kept: list[str] = []
    values = dict(written)
    if "api_key" in values:
        values["api_key"] = _kept(values["api_key"], raw.get("api_key"), "api_key", kept)
    if isinstance(values.get("headers"), dict):
        before = {str(name).lower(): value for name, value in (raw.get("headers") or {}).items()}
        values["headers"] = {
            name: _kept(value, before.get(name.lower()), f"headers.{name}", kept)
            for name, value in values["headers"].items()
        }
    return values, kept


def _kept(value: Any, before: Any, name: str, kept: list[str]) -> Any:
    if isinstance(value, str) and (value == HIDDEN or _REFERENCE.fullmatch(value)):
        if before is None or value != veiled(before):
            raise ValueError(name)
        kept.append(name)
        return before
    return value


_SECRET_HEADER = re.compile(r"auth|cookie|key|token|secret|password|credential", re.IGNORECASE)


def secrets_in(values: Mapping[str, Any]) -> dict[str, str]:
    """The values, by their place, that belong in the secrets file: `api_key`, and headers that sound like one."""
    found: Json = {}
    if (key := values.get("api_key")) and not is_template(key):
        found["api_key"] = key
    for name, value in (values.get("headers") or {}).items():
        if _SECRET_HEADER.search(name) and not is_template(value):
            found[f"headers.{name}"] = value
    return found
