"""How a chat provider is asked to think, or not to.

The one rule: the wish is read once (`Wish`), and each way of asking says all of it that it can; what it cannot say is
reported. To ask for no thinking loses nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report, Turn

LADDER: Final = ("minimal", "low", "medium", "high", "xhigh", "max")

_BUDGETS: Final = ((2048, "low"), (8192, "medium"), (16384, "high"), (24576, "xhigh"))
_AS_BUDGET: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_DEEPSEEK: Final = {"minimal": "low", "low": "low", "max": "max"}
_DEFAULT_EFFORTS: Final = ("low", "medium", "high")


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
    return Wish(on, effort, thinking.get("budget_tokens") if kind == "enabled" else None)


def encode_reasoning(wish: Wish, options: Options, report: Report, *, with_tools: bool) -> Json:
    """The keys that ask for the thinking that was wished for."""
    if options.tools_effort_none and with_tools:
        if wish.thinks:
            report.add("changed", "reasoning_effort")
        return {"reasoning_effort": "none"}
    if wish.silent:
        return {}
    return _WAYS[options.reasoning](wish, options, report)


def nearest_effort(effort: str, allowed: tuple[str, ...]) -> str | None:
    """The effort itself, else the next lower one that is allowed, else the next higher; never `none`."""
    rank = LADDER.index(effort)
    lower_first = (*reversed(LADDER[: rank + 1]), *LADDER[rank + 1 :])
    return next((one for one in lower_first if one in allowed), None)


def _effort_of(budget: int) -> str:
    return next((effort for most, effort in _BUDGETS if budget <= most), "max")


def _cannot(wish: Wish, options: Options, report: Report) -> Json:
    if wish.thinks:
        report.add("dropped", "thinking" if wish.on else "output_config.effort")
    return {}


def _effort(wish: Wish, options: Options, report: Report) -> Json:
    allowed = options.efforts or _DEFAULT_EFFORTS
    if not wish.thinks:
        least = next((effort for effort in ("none", "minimal") if effort in allowed), None)
        if least is None:
            report.add("dropped", "thinking")
        return {"reasoning_effort": least} if least else {}
    if wish.depth is None:
        return {}  # thinking as deep as the model likes: the provider's default
    effort = _clamped(wish.depth, allowed, report)
    return {"reasoning_effort": effort} if effort else {}


def _clamped(wanted: str, allowed: tuple[str, ...], report: Report) -> str | None:
    effort = nearest_effort(wanted, allowed)
    if effort is None:
        report.add("dropped", "output_config.effort")
    elif effort != wanted:
        report.add("clamped", "output_config.effort")
    return effort


def _openrouter(wish: Wish, options: Options, report: Report) -> Json:
    if not wish.thinks:
        return {"reasoning": {"enabled": False}}
    if wish.effort:
        effort = _clamped(wish.effort, options.efforts, report) if options.efforts else wish.effort
        return {"reasoning": {"effort": effort} if effort else {"enabled": True}}
    return {"reasoning": {"enabled": True} if wish.budget is None else {"max_tokens": wish.budget}}


def _deepseek(wish: Wish, options: Options, report: Report) -> Json:
    depth = wish.depth if wish.thinks else None
    return {**_switch(wish), **({"reasoning_effort": _DEEPSEEK.get(depth, "high")} if depth else {})}


def _thinking_type(wish: Wish, options: Options, report: Report) -> Json:
    _no_effort(wish, report)
    return _switch(wish)


def _qwen(wish: Wish, options: Options, report: Report) -> Json:
    if not wish.thinks:
        return {"enable_thinking": False}
    budget = _AS_BUDGET[wish.effort] if wish.budget is None and wish.effort else wish.budget
    return {"enable_thinking": True, **({} if budget is None else {"thinking_budget": budget})}


def _vllm(wish: Wish, options: Options, report: Report) -> Json:
    _no_effort(wish, report)
    return {"chat_template_kwargs": {"enable_thinking": wish.thinks}}


def _no_effort(wish: Wish, report: Report) -> None:
    """A mere switch says nothing of how deep."""
    if wish.thinks and wish.effort:
        report.add("dropped", "output_config.effort")


def _switch(wish: Wish) -> Json:
    return {"thinking": {"type": "enabled" if wish.thinks else "disabled"}}


_WAYS: Final[dict[str, Callable[[Wish, Options, Report], Json]]] = {
    "none": _cannot,
    "effort": _effort,
    "openrouter": _openrouter,
    "deepseek": _deepseek,
    "thinking_type": _thinking_type,
    "qwen": _qwen,
    "vllm": _vllm,
}
