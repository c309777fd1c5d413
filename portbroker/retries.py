"""What is done about each kind of failure: one table, the waits between attempts, and the budget for them.

The one rule: `REMEDIES` is all there is to say about a kind of failure; `docs/reliability.md` shows the same table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from portbroker.errors import CallError, GatewayError, ProviderError
from portbroker.policy import Retry
from portbroker.rate_limits import wait_of
from portbroker.window import Window

Class = Literal[
    "invalid", "auth", "billing", "permission", "not_found", "too_large",
    "context", "rate_limit", "overloaded", "timeout", "refused", "api", "no_model", "not_now", "loss",
]  # fmt: skip
"""The kinds of errors, and three more: a model that the provider does not know, "not now", loss that is refused."""

Who = Literal["key", "key or its model", "model", ""]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What follows a failure.

    `rests` is left alone for the provider's own Retry-After, else for `first` seconds, twice as long each time up to
    `longest` (0: only if the provider says how long). `strikes`: it counts towards the provider's breaker. Then, each
    if true and possible, in this order: the next `key` of the provider, the next `target`, the `same` target again.
    `fallback`: the models that the rule names for this kind take over.
    """

    means: str
    rests: Who = ""
    first: float = 0.0
    longest: float = 0.0
    guarded: bool = False
    strikes: bool = False
    key: bool = False
    target: bool = False
    same: bool = False
    fallback: bool = False


_MINUTE = 60.0


def _key_refused(means: str, who: Who = "key") -> Remedy:
    return Remedy(means, who, _MINUTE, 15 * _MINUTE, guarded=True, key=True, target=True)


REMEDIES: dict[Class, Remedy] = {
    "api": Remedy("5xx, refused or broken connection, an answer that is none", "model", strikes=True, target=True,
                  same=True),
    "overloaded": Remedy("503, 529 or words to that effect", "model", strikes=True, target=True, same=True),
    "timeout": Remedy("no connection, no first content, silence, 408, 504", "model", strikes=True, target=True),
    "not_now": Remedy("409, 425", target=True, same=True),
    "rate_limit": Remedy("429; the key for this model alone when the answer names it", "key or its model", 1.0,
                         _MINUTE, key=True, target=True, same=True),
    "auth": _key_refused("401: the provider refuses the key"),
    "billing": _key_refused("402, or no quota left"),
    "permission": _key_refused("403: the key may not do this", "key or its model"),
    "no_model": Remedy("404 that names the model", "model", _MINUTE, 15 * _MINUTE, target=True),
    "context": Remedy("the prompt is too long for the model", fallback=True),
    "refused": Remedy("the provider's content policy", fallback=True),
    "loss": Remedy("the call cannot be put to this target without loss that is refused", target=True),
    "invalid": Remedy("400, 422: any target would say the same"),
    "not_found": Remedy("404 about anything else"),
    "too_large": Remedy("413"),
}  # fmt: skip


def class_of(error: GatewayError, model: str) -> Class:
    """Which row of the table an error of an attempt on an upstream model belongs to."""
    if isinstance(error, CallError):
        return "loss"
    if error.kind == "not_found" and (error.code == "model_not_found" or _names_model(error, model)):
        return "no_model"
    if error.status in (409, 425) or (error.kind == "invalid" and error.retryable):
        return "not_now"
    return error.kind


def _names_model(error: GatewayError, model: str) -> bool:
    return model.lower() in error.message.lower() or "deploymentnotfound" in (error.code or "").lower()


def remedy_for(error: GatewayError, model: str) -> Remedy:
    """What to do about it. A credential that is the caller's own says nothing of ours."""
    remedy = REMEDIES[class_of(error, model)]
    if remedy.guarded and isinstance(error, ProviderError) and error.callers_credential:
        return Remedy(remedy.means, target=True)
    return remedy


def resting_place(remedy: Remedy, error: GatewayError, provider: str, key: str, model: str) -> tuple[str, str, str]:
    """Who is left alone."""
    if remedy.rests == "model":
        return provider, "", model
    if remedy.rests == "key or its model" and model.lower() in error.message.lower():
        return provider, key, model
    return provider, key, ""


def told_to_wait(error: GatewayError) -> float | None:
    """Seconds that the provider asks for; None when it asks for none."""
    wait = wait_of(error.headers)
    return min(wait, LONGEST_TOLD) if wait else None


LONGEST_TOLD = 3600.0
"""Seconds of a Retry-After that are believed: a limit for the day is real, a longer one most likely a mistake."""


def backoff(retry: Retry, times: int, chance: Callable[[], float]) -> float:
    """Seconds before the same target is tried for the `times`-th time more, with full jitter."""
    return min(retry.most_backoff, retry.first_backoff * 2.0 ** min(times - 1, 30)) * chance()


class Budget:
    """How many attempts more than one a call there may be, so that an outage is not multiplied.

    Every call pays in a share of an attempt, and `least` are there in any case. Paid for are attempts that may only add
    to somebody's trouble: the same target again, a provider whose last calls failed, a hedge. To send a call to a sound
    provider instead of a failing one is free: it is the same load, elsewhere, once.
    """

    WINDOW = 10.0
    """Seconds over which calls and paid attempts are compared."""

    def __init__(self) -> None:
        self._window = Window(self.WINDOW)

    def call(self, now: float) -> None:
        """A call came."""
        self._window.add(now, 1)

    def left(self, retry: Retry, now: float) -> bool:
        """Whether one more may be paid for."""
        calls, paid = self._window.sums(now)
        return paid < max(retry.budget_least, retry.budget_share * calls)

    def pay(self, now: float) -> None:
        """One more."""
        self._window.add(now, 0, 1)
