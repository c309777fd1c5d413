"""How a chat provider is asked to think, or not to.

The one rule: each way of asking says all of a wish that it can; what it cannot say is reported. To ask for no thinking
loses nothing.
"""

from collections.abc import Callable
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects.efforts import Wish, asked_effort, clamped

_AS_BUDGET: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_DEEPSEEK: Final = {"minimal": "low", "low": "low", "max": "max"}


def encode_reasoning(wish: Wish, options: Options, report: Report, *, with_tools: bool) -> Json:
    """The keys that ask for the thinking that was wished for."""
    if options.tools_effort_none and with_tools:
        if wish.thinks:
            report.add("changed", "reasoning_effort")
        return {"reasoning_effort": "none"}
    if wish.silent:
        return {}
    return _WAYS[options.reasoning](wish, options, report)


def _cannot(wish: Wish, options: Options, report: Report) -> Json:
    if wish.thinks:
        report.add("dropped", "thinking" if wish.on else "output_config.effort")
    return {}


def _effort(wish: Wish, options: Options, report: Report) -> Json:
    effort = asked_effort(wish, options, report)
    return {"reasoning_effort": effort} if effort else {}


def _openrouter(wish: Wish, options: Options, report: Report) -> Json:
    if not wish.thinks:
        return {"reasoning": {"enabled": False}}
    if wish.effort:
        effort = clamped(wish.effort, options.efforts, report) if options.efforts else wish.effort
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
