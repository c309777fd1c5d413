"""Parameters that both of OpenAI's APIs have, in the words of canonical calls.

The one rule: what Anthropic has no word for keeps its own, behind an underscore, for a target that knows it.
"""

from typing import Any

from portbroker.conversation import Json
from portbroker.dialects.reading import object_in, optional_text, refuse

_TIERS = {"auto": "auto", "default": "standard_only"}


def present(**values: Any) -> Json:
    """Those that are given."""
    return {key: value for key, value in values.items() if value is not None}


def user_params(body: Json) -> Json:
    """Who the call is for."""
    user, safety = optional_text(body, "user"), optional_text(body, "safety_identifier")
    params = present(_user=user, _safety_identifier=safety, _metadata=body.get("metadata"))
    name = safety or user
    return {**params, "metadata": {"user_id": name}} if name else params


def tier_params(body: Json) -> Json:
    """How soon it is to be served."""
    tier = optional_text(body, "service_tier")
    if tier is None:
        return {}
    return {"service_tier": _TIERS[tier]} if tier in _TIERS else {"_service_tier": tier}


def form_kind(value: object, path: str) -> tuple[Json, str]:
    """A wanted form of the answer and its kind: `text` also for none at all, `json_object` or `json_schema`."""
    if value is None:
        return {}, "text"
    form = object_in(value, path)
    kind = form.get("type", "text")
    kind = "text" if kind is None else kind
    if kind not in ("text", "json_object", "json_schema"):
        refuse(f"{path}.type", "one of text, json_object and json_schema")
    return form, kind


def schema_form(named: Json, path: str) -> Json:
    """An answer that follows a schema, by what is said of it."""
    extra = {f"_{key}": named[key] for key in ("name", "description", "strict") if named.get(key) is not None}
    return {"type": "json_schema", "schema": object_in(named.get("schema"), f"{path}.schema"), **extra}
