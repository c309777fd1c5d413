"""One target, one attempt: the only place that opens connections.

The one rule: nothing here decides what an answer means.
"""

from portbroker.upstream.client import HttpUpstream
from portbroker.upstream.interface import Attempt, Sink, Upstream, UpstreamRequest
from portbroker.upstream.limits import Limits
from portbroker.upstream.status import StatusSink

__all__ = ["Attempt", "HttpUpstream", "Limits", "Sink", "StatusSink", "Upstream", "UpstreamRequest"]
