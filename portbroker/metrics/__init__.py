"""What is counted of calls, for those who watch over the gateway.

The one rule: a call is counted by adding to a few numbers; names, text and sums over processes are made when asked for.
"""

from portbroker.metrics.counts import Counts
from portbroker.metrics.ledger import Ledger
from portbroker.metrics.meter import Meter

__all__ = ["Counts", "Ledger", "Meter"]
