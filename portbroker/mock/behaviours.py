"""What a mock may be told to do, as words: `fail-429`, `slow-2s+cut-after-3`.

The one rule: words that name no behaviour are an error, except as the name of a model, of which most name none.
"""

import re
from dataclasses import dataclass
from typing import Final

from portbroker.errors import PortBrokerError

BEHAVIOURS: Final = {
    "plain": "answers at once",
    "fail-N": "an error of status N, from 400 to 599; a 429 says to come again in a second",
    "slow-N": "waits so long first: slow-2s, slow-300ms; slow-2s+fail-503 waits and then fails",
    "reset": "resets the connection without an answer",
    "hang": "takes the call and never answers",
    "cut-after-N": "a stream that is reset after N words; an answer that is no stream breaks off",
    "empty": "status 200 and no body",
    "html": "status 200 and a page",
    "overflow": "the error for a prompt that is too long for the model",
    "error-in-stream": "status 200, three words and then an error; an answer that is no stream is the error alone",
    "tool": "calls the first tool of the call",
}
"""By name, what each does."""

_UNNUMBERED = frozenset(name for name in BEHAVIOURS if not name.endswith("-N"))
_NUMBERED = re.compile(r"(fail|cut-after)-(\d{1,6})", re.ASCII)
_DELAY = re.compile(r"slow-(\d{1,6}(?:\.\d{1,3})?)(ms|s)", re.ASCII)


class BehaviourError(PortBrokerError):
    """These words name no behaviour."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of one call. `act` is a name of `BEHAVIOURS` without its number; `delay` in seconds comes first."""

    act: str = "plain"
    number: int = 0
    delay: float = 0.0
    words: str = "plain"


def behaviour_of(words: str) -> Behaviour:
    """The behaviour that these words name. Raises `BehaviourError` when they name none."""
    delay, plus, rest = words.partition("+") if words.startswith("slow-") else ("", "+", words)
    act, number = _act_of(rest if plus else "plain", words)
    return Behaviour(act, number, _seconds(delay) if delay else 0.0, words)


def behaviour_of_model(model: str) -> Behaviour | None:
    """The behaviour that the name of a model asks for, after its last `/`."""
    try:
        return behaviour_of(model.rpartition("/")[2])
    except BehaviourError:
        return None


def _act_of(text: str, words: str) -> tuple[str, int]:
    if match := _NUMBERED.fullmatch(text):
        act, number = match[1], int(match[2])
        if act != "fail" or 400 <= number <= 599:
            return act, number
    elif text in _UNNUMBERED:
        return text, 0
    raise _unknown(words)


def _seconds(text: str) -> float:
    match = _DELAY.fullmatch(text)
    if match is None:
        raise _unknown(text)
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _unknown(words: str) -> BehaviourError:
    return BehaviourError(f"{words[:60]!r} is no behaviour; those are {', '.join(BEHAVIOURS)}")
