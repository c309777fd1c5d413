"""Why the targets of a pool stand in their order, in words.

The one rule: it says what `portbroker.strategies` does by; it decides nothing.
"""

from collections.abc import Callable, Mapping

from portbroker.config.model import Strategy
from portbroker.facts import Facts
from portbroker.resolution import Explanation
from portbroker.snapshot import Pool, Target
from portbroker.strategies import cost, sticky_by

_ABOUT: Mapping[Strategy, str] = {
    "priority": "always in this order",
    "weighted": "by weight: this is the first turn",
    "round_robin": "in turns: this is the first one",
    "least_latency": "the quicker of two at random, then from the quickest on; nothing is measured here",
    "lowest_cost": "the cheapest first, by the prices of the catalog",
    "sticky": "the target that the session had before; for a new session, the one that it falls to",
}


def about(pool: Pool) -> str:
    """The strategy of a pool, and what it does."""
    return f"{pool.strategy}: {_ABOUT[pool.strategy]}"


def reason(explained: Explanation, target: Target, facts: Facts) -> str:
    """Why a target has its place."""
    pool = explained.pool
    if pool.strategy in _REASONS:
        return _REASONS[pool.strategy](pool, target, facts)
    way = explained.way
    by_hand = way.taken is not None and bool(way.rules[-1].targets)
    return "as in the file" if by_hand else f"priority {target.provider.priority}"


def _of_weight(pool: Pool, target: Target, _: Facts) -> str:
    weight, total = pool.weights[target.name], sum(pool.weights.values())
    return f"weight {weight} of {total}" if weight else "only when the others fail"


def _of_cost(_: Pool, target: Target, facts: Facts) -> str:
    dollars = cost(target, facts)
    return f"at most about ${dollars:.6f}" if dollars is not None else "its price is not known"


def _of_session(pool: Pool, _: Target, facts: Facts) -> str:
    return f"by {sticky_by(pool, facts)[0]}"


_REASONS: Mapping[Strategy, Callable[[Pool, Target, Facts], str]] = {
    "weighted": _of_weight,
    "lowest_cost": _of_cost,
    "sticky": _of_session,
}
