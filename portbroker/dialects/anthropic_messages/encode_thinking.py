"""How hard to think, in the words that the model knows: an effort, a budget of tokens, or none.

The one rule: thinking is left out where Anthropic would refuse the whole call for it, and that is reported under the
fixed name `reasoning_effort`.
"""

from portbroker.config.options import Options
from portbroker.conversation import Json, Report

PATH = "reasoning_effort"

_SMALLEST_BUDGET = 1024
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_TAKEN = _EFFORTS[1:]
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_LIMITS = ((2048, "low"), (8192, "medium"), (16384, "high"), (24576, "xhigh"))


def encode_thinking(params: Json, forced: bool, messages: list[Json], options: Options, report: Report) -> Json:
    """`thinking` and `output_config.effort` (under `effort`), each only if it is to be sent.

    `params` are canonical and hold `max_tokens`; `forced` says that the model must call a tool.
    """
    thinking = params.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    effort = (params.get("output_config") or {}).get("effort")
    if kind in ("disabled", "between_tools"):
        return _off(options, report)
    if effort is None and kind is None:
        return {}
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    wanted = effort if effort is not None else _effort_of(budget)
    if wanted is not None and wanted not in _EFFORTS:
        report.add("dropped", PATH)
        return {}
    if options.thinking == "effort":
        shown = options.no_sampling and isinstance(thinking, dict) and thinking.get("display") == "summarized"
        return _by_effort(wanted, forced, options, report, shown=shown)
    allowance = _allowance(budget if effort is None else None, wanted, params["max_tokens"])
    if options.thinking == "none" or allowance is None or forced or _begun_without(messages):
        report.add("dropped", PATH)
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": allowance}}


def _off(options: Options, report: Report) -> Json:
    if options.thinking == "none":
        return {}
    if options.thinking_off:
        return {"thinking": {"type": "disabled"}}
    report.add("changed", PATH)
    return {"effort": "low"}


def _by_effort(wanted: str | None, forced: bool, options: Options, report: Report, *, shown: bool) -> Json:
    """Adaptive thinking. A forced tool call forbids it, but the effort, which governs the whole answer, stays.

    `shown`: the model must be asked to show it. Those that refuse sampling are those that otherwise do not.
    """
    taken = _nearest(wanted, options.efforts or _TAKEN) if wanted is not None else None
    if taken != wanted and (wanted, taken) != ("minimal", "low"):
        report.add("clamped", PATH)
    effort: Json = {"effort": taken} if taken is not None else {}
    if forced:
        report.add("degraded", PATH)
        return effort
    display: Json = {"display": "summarized"} if shown else {}
    return {"thinking": {"type": "adaptive", **display}, **effort}


def _nearest(wanted: str, taken: tuple[str, ...]) -> str | None:
    """The highest effort that is taken and not above the wanted one, else the lowest above it."""
    ranks = sorted(_EFFORTS.index(effort) for effort in taken if effort in _EFFORTS)
    rank = _EFFORTS.index(wanted)
    lower = [r for r in ranks if r <= rank]
    return _EFFORTS[lower[-1] if lower else ranks[0]] if ranks else None


def _effort_of(budget: object) -> str | None:
    if not isinstance(budget, int):
        return None
    return next((effort for limit, effort in _LIMITS if budget <= limit), "max")


def _allowance(budget: object, effort: str | None, max_tokens: int) -> int | None:
    """The budget that leaves room for an answer, None when nothing that Anthropic takes is left."""
    wanted = budget if isinstance(budget, int) else _BUDGETS[effort or "high"]
    allowance = min(wanted, max_tokens - max(_SMALLEST_BUDGET, max_tokens // 4))
    return allowance if allowance >= _SMALLEST_BUDGET else None


def _begun_without(messages: list[Json]) -> bool:
    """Whether the assistant's turn that goes on began without thinking: with a budget, Anthropic refuses to add it."""
    last = messages[-1]
    if last["role"] == "user":
        content = last["content"]
        answers = isinstance(content, list) and content[0]["type"] == "tool_result"
        last = messages[-2] if answers and len(messages) > 1 else last
    if last["role"] != "assistant":
        return False
    content = last["content"]
    return isinstance(content, str) or content[0]["type"] not in ("thinking", "redacted_thinking")
