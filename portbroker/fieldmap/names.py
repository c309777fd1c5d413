"""The names that `ctx.` offers to rules, and the values that each can have.

The one rule: an option is known here by the type that it has in the file, so that a value it can never have is noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from portbroker.config.options import Options

CONTEXT_NAMES = ("model", "requested_model", "client", "stream", "provider", "route")
CLIENTS = ("anthropic.messages", "openai.chat", "openai.responses")


@dataclass(frozen=True, slots=True)
class Names:
    """Which context names a condition may ask for, and the values that they can have (None: any)."""

    domains: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)


def _domain(annotation: Any) -> tuple[Any, ...] | None:
    """Every value that an option's type allows, or None when they cannot be listed."""
    if annotation is bool:
        return (True, False)
    if annotation is type(None):
        return (None,)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    domains = [_domain(part) for part in get_args(annotation)] if get_origin(annotation) is not tuple else [None]
    if not domains or any(domain is None for domain in domains):
        return None
    return tuple(value for domain in domains for value in domain or ())


def _option_domains() -> dict[str, tuple[Any, ...] | None]:
    fields = Options.model_fields.items()
    return {f"options.{field.alias or name}": _domain(field.annotation) for name, field in fields}


_OPTIONS = _option_domains()
CONTEXT = Names(dict.fromkeys(CONTEXT_NAMES) | {"client": CLIENTS, "stream": (True, False)} | _OPTIONS)
TARGET = Names(dict.fromkeys(("model", "provider")) | _OPTIONS)
"""What is known of a target before any call: what `errors` rules can ask for, beside the status."""

ERRORS = Names({**TARGET.domains, "status": None})
