"""Strategies: in which order the targets of a pool are tried.

The one rule: nothing here calls, waits or fails. What is remembered between calls is in `Turns`, by the names of pools
and targets, so that it survives a reload; what is known of targets is read from a `Standing`.
"""

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from portbroker.config.model import Strategy
from portbroker.facts import Facts
from portbroker.fieldmap.segments import MISSING
from portbroker.snapshot import Pool, Target
from portbroker.standing import Standing

_OUTPUT = 4096
"""Output tokens that a call is taken to need when it does not say."""
_MILLION = 1_000_000


def order(pool: Pool, facts: Facts, standing: Standing) -> Sequence[Target]:
    """Every target of the pool, in the order in which to try them; those that rest come last, the nearest first."""
    if len(pool.targets) == 1:
        return pool.targets
    awake = [target for target in pool.targets if not standing.resting(target)]
    if len(awake) > 1 or pool.strategy == "sticky":
        awake = _STRATEGIES[pool.strategy](awake, pool, facts, standing)
    if len(awake) == len(pool.targets):
        return awake
    up = {target.name for target in awake}
    resting = [target for target in pool.targets if target.name not in up]
    return [*awake, *sorted(resting, key=standing.resting)]


def _priority(awake: list[Target], *_: object) -> list[Target]:
    return awake


def _weighted(awake: list[Target], pool: Pool, _: Facts, standing: Standing) -> list[Target]:
    return _by_name(awake, standing.turns.next(pool.name, {target.name: pool.weights[target.name] for target in awake}))


def _round_robin(awake: list[Target], pool: Pool, _: Facts, standing: Standing) -> list[Target]:
    return _by_name(awake, standing.turns.next(pool.name, {target.name: 1 for target in awake}))


def _by_name(targets: Iterable[Target], names: Iterable[str]) -> list[Target]:
    named = {target.name: target for target in targets}
    return [named[name] for name in names]


def _least_latency(awake: list[Target], _: Pool, __: Facts, standing: Standing) -> list[Target]:
    """The quicker of two at random, so that not every call goes to the same one; then from the quickest on.

    A target that has not been tried is taken before one that has: that is how it is measured.
    """
    measured = {target.name: standing.latency(target) for target in awake}
    pair = random.sample(awake, 2)
    first = min(pair, key=lambda target: measured[target.name] or 0.0)
    rest = sorted(awake, key=lambda target: _or_last(measured[target.name]))
    return [first, *(target for target in rest if target is not first)]


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value


def _lowest_cost(awake: list[Target], _: Pool, facts: Facts, __: Standing) -> list[Target]:
    return sorted(awake, key=lambda target: _or_last(cost(target, facts)))


def cost(target: Target, facts: Facts) -> float | None:
    """US dollars that a call may cost there, by the catalog; None where the price is not known."""
    price = target.fieldmap.facts.price
    if price is None:
        return None
    output = _OUTPUT if facts.max_tokens is MISSING else facts.max_tokens
    return float(facts.input_tokens * price.input + output * price.output) / _MILLION


def _sticky(awake: list[Target], pool: Pool, facts: Facts, standing: Standing) -> list[Target]:
    """The target that the session had before, if it is awake, else the one that its key falls to; then the next ones.

    The key falls to targets by their names and weights alone, so that every worker, and this one after a restart,
    comes to the same.
    """
    if not awake:
        return awake
    key = sticky_key(pool, facts)
    fallen = sorted(awake, key=lambda target: _draw(key, target.name, pool.weights[target.name]), reverse=True)
    kept = standing.turns.kept(key)
    first = next((target for target in fallen if target.name == kept), fallen[0])
    standing.turns.keep(key, first.name)
    return [first, *(target for target in fallen if target is not first)]


def sticky_key(pool: Pool, facts: Facts) -> bytes:
    """What calls have in common that stay together: their session, user or prompt, within a pool and a caller."""
    kind, value = sticky_by(pool, facts)
    text = "\0".join((pool.name, facts.caller, kind, value))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sticky_by(pool: Pool, facts: Facts) -> tuple[str, str]:
    """The kind and the value of what a call is kept together by."""
    family, _, name = pool.sticky.partition(".")
    found: object = None
    if family == "session":
        found = facts.session()
    elif family == "header":
        found = facts.header(name.lower())
    elif family == "metadata":
        found = facts.metadata(name)
    return (pool.sticky, found) if isinstance(found, str) and found else ("prompt", facts.prompt)


def _draw(key: bytes, name: str, weight: int) -> float:
    """A target's draw for a key, by weighted rendezvous hashing: the highest wins, each in proportion to its weight."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=key, digest_size=8).digest()
    even = ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52  # never 0, never 1
    return weight / -math.log(even) if weight else even - 1.0


_STRATEGIES: Mapping[Strategy, Callable[[list[Target], Pool, Facts, Standing], list[Target]]] = {
    "priority": _priority,
    "weighted": _weighted,
    "round_robin": _round_robin,
    "least_latency": _least_latency,
    "lowest_cost": _lowest_cost,
    "sticky": _sticky,
}
