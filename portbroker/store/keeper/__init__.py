"""SQLite for several processes: one of them keeps the file, the others ask it over a socket.

Whoever has the lock beside the file keeps it. The kernel takes the lock from a keeper that dies, and the next one that
needs the file takes over. The one rule: at no time have two processes the file open.
"""

from portbroker.store.keeper.kept import KeptDatabase

__all__ = ["KeptDatabase"]
