"""The table of what is done about failures. One rule: it is the one that the gateway goes by."""

from collections.abc import Callable

from portbroker.retries import REMEDIES, Remedy
from tests.generated.regions import table


def _failures() -> str:
    rows = [(f"`{name}`", remedy.means, _next(remedy), _rest(remedy)) for name, remedy in REMEDIES.items()]
    return table(("failure", "what it is", "then", "who rests"), rows)


def _next(remedy: Remedy) -> str:
    steps = {
        "next key": remedy.key, "next target": remedy.target, "same target": remedy.same, "fallbacks": remedy.fallback,
    }  # fmt: skip
    return ", ".join(step for step, taken in steps.items() if taken) or "the client is told"


def _rest(remedy: Remedy) -> str:
    said = []
    if remedy.rests:
        how = f"{remedy.first:g} s, doubling up to {remedy.longest:g} s" if remedy.first else "only for a Retry-After"
        said.append(f"the {remedy.rests}: {how}")
    if remedy.strikes:
        said.append("counts towards the breaker")
    return "; ".join(said)


TABLES: dict[str, Callable[[], str]] = {"failures": _failures}
