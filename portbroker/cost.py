"""What a call costs, in whole nano-dollars, from what the catalog says of its model.

The one rule: integers all the way, so that the sum of many calls is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from portbroker.config.model import Price
from portbroker.conversation import Json

_NANO = 1_000_000_000
_MILLION = 1_000_000
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_LONGEST = 32_000
"""Output tokens that a call may come to when neither it nor the catalog says."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars for a million tokens. `told` is the price as the file says it, in dollars, for the record."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    told: Mapping[str, float] = field(compare=False)

    @classmethod
    def of(cls, price: Price) -> "Rates":
        """What is not given for cached tokens is the price of any other."""
        told = price.model_dump(exclude_none=True)
        cached, written = told.get("cached_input", price.input), told.get("cache_write", price.input)
        return cls(_nano(price.input), _nano(price.output), _nano(cached), _nano(written), told)

    def cost(self, uncached: int, cached: int, written: int, output: int) -> int:
        """The nano-dollars of one call."""
        whole = uncached * self.input + cached * self.cached_input + written * self.cache_write + output * self.output
        return (whole + _MILLION // 2) // _MILLION

    def worst(self, tokens: int, output: int) -> int:
        """The most that a call of so many input and output tokens can cost."""
        return -(-(tokens * max(self.input, self.cached_input, self.cache_write) + output * self.output) // _MILLION)


def _nano(dollars: float) -> int:
    # As it is written: 0.1 is a tenth, and not what a float makes of it.
    return round(Fraction(str(dollars)) * _NANO)


@dataclass(slots=True)
class Tokens:
    """What a call took, as usage rows tell it: `input` holds those of caches too, `output` those of reasoning."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def cost(self, rates: Rates | None) -> int:
        """The nano-dollars of it; without rates, none."""
        if rates is None:
            return 0
        return rates.cost(self.input - self.cached - self.written, self.cached, self.written, self.output)


def tokens_of(usage: Json | None) -> Tokens:
    """The tokens of canonical usage, whose `input_tokens` are those that no cache knew."""
    if not usage:
        return Tokens()
    uncached, cached, written, output = [
        count if type(count := usage.get(name)) is int and count > 0 else 0 for name in _COUNTS
    ]
    details = usage.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else None
    reasoning = thought if type(thought) is int and thought > 0 else 0
    return Tokens(uncached + cached + written, output, cached, written, reasoning)


def most_output(asked: Any, known: int | None) -> int:
    """The output tokens that a call may come to: `asked` is its own limit, `known` the model's."""
    limits = [limit for limit in (asked, known) if type(limit) is int and limit > 0]
    return min(limits, default=_LONGEST)
