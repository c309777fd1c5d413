"""What all processes have counted, added up.

The one rule: what is added here is never taken away again, whichever process has ended since.
"""

from portbroker.guard import Calls
from portbroker.metrics.counts import Counts
from portbroker.metrics.tally import Tally


class Ledger:
    """The sums since the start."""

    def __init__(self) -> None:
        self.totals = Counts()
        self._tally = Tally()

    def enter(self, counts: Counts) -> None:
        """Add what was counted since the last time."""
        self.totals.merge(counts)
        for (revision, *_), numbers in counts.revisions.items():
            self._tally.add(str(revision), *numbers)

    def calls(self, revision: str, seconds: float) -> Calls:
        """The calls that a revision has answered in the last seconds."""
        return Calls(*self._tally.since(revision, seconds))
