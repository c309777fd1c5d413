"""What strategies remember between calls: whose turn it is, and which target a session has.

The one rule: everything is kept by name, bounded, and worth no more than a little fairness when it is lost.
"""

from collections import OrderedDict
from collections.abc import Mapping

POOLS = 1024
SESSIONS = 16384


class Turns:
    """The memory of one process. `pools` and `sessions` bound how many are remembered."""

    def __init__(self, pools: int = POOLS, sessions: int = SESSIONS) -> None:
        self._pools: OrderedDict[str, dict[str, float]] = OrderedDict()
        self._sessions: OrderedDict[bytes, str] = OrderedDict()
        self._most_pools = pools
        self._most_sessions = sessions

    def next(self, pool: str, weights: Mapping[str, int]) -> list[str]:
        """The names, the one whose turn it is first, then those that are due next. Counts as a turn.

        Smooth weighted round robin: each gains its weight a turn, and who goes first pays what all have gained, so that
        shares hold exactly over any whole round and nobody goes several times while others wait.
        """
        credits = self._pools.setdefault(pool, {})
        self._pools.move_to_end(pool)
        if len(self._pools) > self._most_pools:
            self._pools.popitem(last=False)
        for name, weight in weights.items():
            credits[name] = credits.get(name, 0) + weight
        names = sorted(weights, key=lambda name: (bool(weights[name]), credits[name]), reverse=True)
        credits[names[0]] -= sum(weights.values())
        if len(credits) > 2 * len(weights) + 8:
            self._pools[pool] = {name: credits[name] for name in weights}  # names of targets that are gone
        return names

    def kept(self, session: bytes) -> str | None:
        """The name of the target that a session has."""
        return self._sessions.get(session)

    def keep(self, session: bytes, name: str) -> None:
        """Remember the target of a session, and of those that were seen longest ago as few as there is room for."""
        self._sessions[session] = name
        self._sessions.move_to_end(session)
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)
