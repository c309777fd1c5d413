"""The names that `ctx.` offers to rules, and the values that each can have.

The one rule: an option is known here by the type that it has in the file, so that a value it can never have is noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args, get_origin

from portbroker.config.options import Options
from portbroker.fieldmap.paths import Path, compile_path
from portbroker.fieldmap.problems import Place, nearest
from portbroker.fieldmap.segments import PathError

CONTEXT_NAMES = ("model", "requested_model", "client", "stream", "provider", "route")
CLIENTS = ("anthropic.messages", "openai.chat", "openai.responses")


class _Passes(Protocol):
    def one(self, value: Any) -> bool: ...


@dataclass(frozen=True, slots=True)
class Names:
    """Paths, and which context names a condition may ask for, and the values that they can have (None: any)."""

    domains: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)

    def find(self, subject: Any, at: Place) -> Path | str | None:
        """The path or the context name as written; None when it is neither, which is recorded."""
        name = str(subject).removeprefix("ctx.")
        if name in self.domains and (name != subject or name == "status"):
            return name
        if name != subject:
            at.unknown("context name", subject, [f"ctx.{known}" for known in self.domains])
            return None
        try:
            return compile_path(subject)
        except PathError as error:
            at.fault(f"bad path {subject!r}: {error}")
            return None

    def objection(self, subject: object, condition: Any, check: _Passes) -> tuple[str, str] | None:
        """Why what is called so can never be like that, and a hint."""
        domain = self.domains.get(subject) if isinstance(subject, str) else None
        return none_of(domain, condition, check) if domain is not None else None


def none_of(domain: tuple[Any, ...], condition: Any, check: _Passes) -> tuple[str, str] | None:
    """That no value of a domain passes, if so, and the nearest one."""
    if any(check.one(value) for value in domain):
        return None
    values = [str(value).lower() if isinstance(value, bool) else str(value) for value in domain]
    return f"is one of {', '.join(values)}", nearest(condition, values) if isinstance(condition, str) else ""


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
