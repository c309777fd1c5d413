"""How hard a caller wants a model to think, and the effort that a provider takes for it.

The one rule: the wish is read once (`Wish`). What cannot be said is reported; to ask for no thinking loses nothing.
"""

from dataclasses import dataclass
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report, Turn

LADDER: Final = ("minimal", "low", "medium", "high", "xhigh", "max")

_BUDGETS: Final = ((2048, "low"), (8192, "medium"), (16384, "high"), (24576, "xhigh"))
_DEFAULT: Final = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of thinking. `on` None: nothing was said. `effort` is in the words of `LADDER`."""

    on: bool | None = None
    effort: str | None = None
    budget: int | None = None

    @property
    def silent(self) -> bool:
        return self.on is None and self.effort is None

    @property
    def depth(self) -> str | None:
        """The effort asked for, or the one that the budget stands for."""
        return self.effort or (_effort_of(self.budget) if self.budget is not None else None)

    @property
    def thinks(self) -> bool:
        """Whether thinking is wanted; an effort alone wants it."""
        return self.on is not False and not self.silent


_SILENT: Final = Wish()


def read_wish(thinking: Json, output_config: Json, turns: list[Turn], report: Report) -> Wish:
    """The wish of a call; an effort on a system message in the conversation is later than the body's."""
    kind = thinking.get("type")
    on = None if kind is None else kind not in ("disabled", "between_tools")
    effort = output_config.get("effort")
    for turn in turns:
        if turn.role == "system" and turn.data.get("output_config"):
            effort = turn.data["output_config"].get("effort") or effort
    if effort is not None and effort not in LADDER and effort != "none":
        report.add("dropped", "output_config.effort")
        effort = None
    if effort == "none":
        on, effort = False, None
    if on is None and effort is None:
        return _SILENT
    return Wish(on, effort, thinking.get("budget_tokens") if kind == "enabled" else None)


def asked_effort(wish: Wish, options: Options, report: Report) -> str | None:
    """The effort to ask for; None for the provider's own, or where what was wished for cannot be said."""
    allowed = options.efforts or _DEFAULT
    if not wish.thinks:
        least = next((effort for effort in ("none", "minimal") if effort in allowed), None)
        if least is None:
            report.add("dropped", "thinking")
        return least
    return clamped(wish.depth, allowed, report) if wish.depth else None


def clamped(wanted: str, allowed: tuple[str, ...], report: Report) -> str | None:
    """The nearest effort that is allowed."""
    effort = nearest_effort(wanted, allowed)
    if effort is None:
        report.add("dropped", "output_config.effort")
    elif effort != wanted:
        report.add("clamped", "output_config.effort")
    return effort


def nearest_effort(effort: str, allowed: tuple[str, ...]) -> str | None:
    """The effort itself, else the next lower one that is allowed, else the next higher; never `none`."""
    rank = LADDER.index(effort)
    lower_first = (*reversed(LADDER[: rank + 1]), *LADDER[rank + 1 :])
    return next((one for one in lower_first if one in allowed), None)


def _effort_of(budget: int) -> str:
    return next((effort for most, effort in _BUDGETS if budget <= most), "max")
