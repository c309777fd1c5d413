"""The table of errors, read off the dialects. One rule: it shows what a client gets, by making it."""

from collections.abc import Callable

from portbroker.dialects.registry import DIALECTS
from portbroker.errors import KINDS, ProviderError
from tests.generated.regions import table


def _errors() -> str:
    head = ("class", *(f"to a client of {name}" for name in DIALECTS), "tried elsewhere")
    return table(head, map(_row, KINDS))


def _row(kind: str) -> tuple[str, ...]:
    error = ProviderError("x", kind=kind)  # type: ignore[arg-type]  # KINDS are the values of Kind
    elsewhere = "yes" if error.retryable else "no"
    return (f"`{kind}`", *(_told(name, error) for name in DIALECTS), elsewhere)


def _told(dialect: str, error: ProviderError) -> str:
    answer = DIALECTS[dialect].encode_error(error, "req_1")
    fault = answer.body["error"]
    code = f", code `{fault['code']}`" if fault.get("code") else ""
    return f"{answer.status} `{fault['type']}`{code}"


TABLES: dict[str, Callable[[], str]] = {"errors": _errors}
