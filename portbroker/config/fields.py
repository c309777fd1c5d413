"""The kinds of values that the sections of the file share, and what every section is.

The one rule: what pydantic accepts here, the JSON Schema accepts too; numbers and switches are strict.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict, WithJsonSchema

from portbroker.config.titles import title_of
from portbroker.config.values import fit_for_header, header_name, plain_ascii, without_control_characters

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(value: Any) -> Any:
    """`5s`, `1m`, `500ms` or a number of seconds as a float; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNITS[match[2]]
    return value


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^\d+(\.\d+)?(ms|s|m|h)?$|\{\{",
    "patternErrorMessage": "must be a number of seconds or a duration such as 500ms, 5s, 2m or 1h",
}
DurationText = Annotated[str, WithJsonSchema(_DURATION_SCHEMA)]

Int = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(gt=0)]
Bool = Annotated[bool, Strict()]
Dollars = Annotated[float, Strict(), Field(ge=0)]
PlainSeconds = Annotated[float, Field(gt=0, le=86400)]
Seconds = Annotated[
    float,
    Strict(),
    Field(gt=0, le=86400),
    BeforeValidator(seconds, json_schema_input_type=PlainSeconds | DurationText),
]
Name = Annotated[str, Field(min_length=1), AfterValidator(without_control_characters)]
HeaderName = Annotated[str, AfterValidator(header_name)]
HeaderValue = Annotated[str, AfterValidator(fit_for_header)]
Url = Annotated[
    str,
    Field(
        pattern=r"^https?://[^\s/]|^\{\{",
        json_schema_extra={"patternErrorMessage": "must be a URL that begins with http:// or https://"},
    ),
    AfterValidator(without_control_characters),
]
UrlPath = Annotated[
    str,
    Field(
        pattern=r"^/[^\s?#]*$",
        json_schema_extra={
            "patternErrorMessage": "must be a path that begins with / and holds no space, query or fragment"
        },
    ),
]


def _secret(value: SecretStr) -> SecretStr:
    plain_ascii(without_control_characters(value.get_secret_value()))
    return value


Secret = Annotated[
    SecretStr, Field(min_length=1), AfterValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1})
]


class Section(BaseModel):
    """A mapping of the file: unknown keys are refused, values cannot change, and errors never show them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        defer_build=True,  # the whole file is checked as one: a validator for each section alone would never be used
        field_title_generator=lambda name, _: title_of(name),
    )
