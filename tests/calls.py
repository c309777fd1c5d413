"""Calls for tests that need no gateway."""

from collections.abc import Mapping
from typing import Any

import orjson

from portbroker.call import parse_call
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES
from portbroker.facts import Facts


def asking(
    model: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, *,
    dialect: Dialect = ANTHROPIC_MESSAGES, caller: str = "",
) -> Facts:  # fmt: skip
    """What is seen of a call for a model."""
    raw = orjson.dumps({"model": model, **(body or {})})
    return Facts(parse_call(raw, dialect), headers or {}, caller)
