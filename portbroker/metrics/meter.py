"""Counts calls of this process as they end.

The one rule: this runs for every call, so it looks up three series and adds; all else waits for `take`.
"""

import time
from bisect import bisect_left

from portbroker.cost import tokens_of
from portbroker.errors import CallError
from portbroker.metrics.counts import OTHER, SECONDS, TOKENS, Counts
from portbroker.usage import Exchange

_FIRST = len(TOKENS)
_USAGE = (
    ("input_tokens", (0,)),
    ("output_tokens", (1,)),
    ("cache_read_input_tokens", (0, 2)),
    ("cache_creation_input_tokens", (0, 3)),
)
"""Words of canonical usage, and the numbers of a series that they are added to: what caches knew is input, too."""
_ABSURD = 1 << 53
"""What no answer has of tokens, whatever a provider says."""


class Meter:
    """What has been counted since the last `take`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = Counts()

    def take(self) -> Counts:
        """What has been counted, which is counted no more."""
        counts, self._counts = self._counts, Counts()
        return counts

    def record(self, exchange: Exchange, *, routed: bool) -> None:
        """Count a call that is over. `routed`: its path is one of the file, and may be named."""
        counts = self._counts
        key = (exchange.path if routed else OTHER, exchange.status)
        _add_seconds(counts.calls.get(key) or counts.series("calls", key), 0, time.monotonic() - exchange.began)
        if not exchange.model:
            return
        for attempt in exchange.attempts:
            words = (attempt.provider, attempt.model, attempt.outcome)
            (counts.attempts.get(words) or counts.series("attempts", words))[0] += 1
        if exchange.usage or exchange.first_content is not None:
            _answered(counts, exchange)
        revision = (exchange.revision,)
        numbers = counts.revisions.get(revision) or counts.series("revisions", revision)
        numbers[0] += 1
        numbers[1] += exchange.error is not None and harmed(exchange)


def _answered(counts: Counts, exchange: Exchange) -> None:
    last = exchange.attempts[-1] if exchange.attempts else None
    key = (last.provider, last.model) if last else (OTHER, OTHER)
    numbers = counts.answers.get(key) or counts.series("answers", key)
    if usage := exchange.usage:  # as `tokens_of` reads it, without an object for each call
        for name, places in _USAGE:
            tokens = usage.get(name)
            if tokens and tokens.__class__ is int and 0 < tokens < _ABSURD:
                for at in places:
                    numbers[at] += tokens
        if details := usage.get("output_tokens_details"):
            numbers[4] += tokens_of({"output_tokens_details": details}).reasoning
    if exchange.first_content is not None:
        _add_seconds(numbers, _FIRST, exchange.first_content - exchange.began)


def _add_seconds(numbers: list[float], at: int, seconds: float) -> None:
    numbers[at] += 1
    numbers[at + 1] += seconds
    numbers[at + 2 + bisect_left(SECONDS, seconds)] += 1


def harmed(exchange: Exchange) -> bool:
    """Whether the file may be to blame: what a caller did wrong, or may not do, it is not."""
    error = exchange.error
    return error is not None and (not isinstance(error, CallError) or error.kind == "not_found")
