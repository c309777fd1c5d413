"""What a caller may still spend: asked once before a call, settled once after it.

Limits a minute and calls under way are `quotas`' to count; a budget is the database's: the most that the call can cost
is held back before it is made, and what it did cost is counted when its usage row is recorded, which gives the rest
back. The one rule: only a key that has a limit or a budget waits for anything here.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from portbroker.call import Call
from portbroker.caller import Caller
from portbroker.cost import most_output
from portbroker.counters import Grant
from portbroker.errors import CallError, GatewayError, StoreError
from portbroker.facts import Facts
from portbroker.quotas import Quotas, refusal, told
from portbroker.snapshot import Target
from portbroker.store import Store
from portbroker.store.periods import period_end, period_key
from portbroker.store.records import Budget, Micros, Reservation

log = logging.getLogger("portbroker.limits")

HELD = 2 * 3600 * 1_000_000
"""Microseconds that money is held back for a call whose process died, at most."""
PATIENCE = 3.0
"""Seconds that a call waits for the database to hold back what it may cost."""


@dataclass(eq=False, slots=True)
class Leave:
    """Leave to make one call. `period` is the one of the budget that it is paid from."""

    caller: Caller
    tokens: int
    grant: Grant | None = None
    period: str = ""

    def told(self, dialect: str) -> dict[str, str]:
        """The limits of the key, and what is left of them, as headers of this dialect."""
        return told(self.caller.limits, self.grant, dialect) if self.grant is not None else {}


class Admission:
    """Lets calls through, or refuses them. `allow_unchecked`: also those whose budget nobody can look up."""

    def __init__(self, quotas: Quotas, store: Store, *, allow_unchecked: bool = False) -> None:
        self._quotas = quotas
        self._store = store
        self._allow_unchecked = allow_unchecked

    async def admit(self, caller: Caller, facts: Facts, targets: Iterable[Target], event: str) -> Leave:
        """Leave for a call that any of these targets may answer; `event` is the id of its usage row to come.

        Raises `CallError` (429, 402) for a caller who has had enough, and `GatewayError` (503) when nobody can say.
        """
        leave = Leave(caller, facts.call.estimate())
        if caller.limited:
            grant = await self._quotas.begin(caller, leave.tokens)
            if grant.lacking:
                raise refusal(caller, grant, leave.tokens, facts.client)
            leave.grant = grant
        if caller.budget is not None:
            try:
                leave.period = await self._hold_back(caller, caller.budget, facts, targets, event)
            except BaseException:
                self.settle(leave, 0)
                raise
        return leave

    def settle(self, leave: Leave, used: int) -> None:
        """The call is over and took so many tokens. Once for each leave."""
        grant, leave.grant = leave.grant, None
        if grant is not None:
            self._quotas.end(leave.caller, grant, used - leave.tokens)

    async def _hold_back(
        self, caller: Caller, budget: Budget, facts: Facts, targets: Iterable[Target], event: str
    ) -> str:
        """The period that the call is paid from."""
        now = time.time_ns() // 1000
        amount = max((_worst(facts, target) for target in targets), default=0)  # nobody is asked for a mere count
        period = period_key(budget, now)
        wanted = Reservation(event, caller.id, period, amount, budget.amount_nano, now + HELD)
        try:
            async with asyncio.timeout(PATIENCE):
                reserved = await self._store.reserve(wanted)
        except (StoreError, TimeoutError) as error:
            log.warning("a budget cannot be checked: %s", str(error) or "the database takes too long")
            if self._allow_unchecked:
                return period
            message = "the budget of this API key cannot be checked at the moment; try again"
            raise GatewayError(message, kind="api", status=503, headers={"retry-after": "5"}) from error
        if not reserved.granted:
            raise _spent(budget, amount, reserved.remaining_nano, now)
        return period


def _worst(facts: Facts, target: Target) -> int:
    """The most that the call can cost on a target. Raises `CallError` (403) when nobody knows what it costs."""
    if target.rates is None:
        raise CallError(
            f"this API key has a budget, and what {target.name} costs is not known: give it a price under `catalog` "
            "(0 for one that costs nothing)", kind="permission", status=403, param="model",
        )  # fmt: skip
    output = most_output(facts.max_tokens, target.fieldmap.facts.max_output_tokens)
    return target.rates.worst(facts.call.estimate(), output * _answers(facts.call))


def _answers(call: Call) -> int:
    """How many answers are asked for at once."""
    wanted = call.body.get("n")
    return wanted if type(wanted) is int and 1 <= wanted <= 128 else 1


def _spent(budget: Budget, amount: int, remaining: int, now: Micros) -> CallError:
    end = period_end(budget, now)
    until = "" if end is None else f"; the next {budget.period} begins in {ceil((end - now) / 3.6e9)} h"
    span = "in total" if budget.period == "total" else f"a {budget.period}"
    message = (f"the budget of this API key ({_dollars(budget.amount_nano)} {span}) has {_dollars(max(0, remaining))} "
               f"left, and the call may cost up to {_dollars(amount)}{until}")  # fmt: skip
    headers = {} if end is None else {"retry-after": str(max(1, ceil((end - now) / 1e6)))}
    return CallError(message, kind="billing", status=402, headers=headers)


def _dollars(nano: int) -> str:
    text = f"{nano / 1e9:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"
