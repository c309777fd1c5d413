"""Several processes that share one port: a supervisor, and the workers that it keeps alive.

The one rule: the supervisor owns the file and the socket, and serves nothing itself; it runs no event loop and no
thread, so that it can fork at any time. A worker serves what the supervisor hands it, and ends when nobody does; a
watcher tells it what the file has become.
"""

from portbroker.workers.messages import Prepare
from portbroker.workers.supervisor import Supervisor, cores
from portbroker.workers.watcher import watch
from portbroker.workers.worker import work

__all__ = ["Prepare", "Supervisor", "cores", "watch", "work"]
