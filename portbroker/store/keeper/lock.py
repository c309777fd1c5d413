"""The lock beside the database, which also says where its keeper listens.

The one rule: what it says counts only while somebody holds it.
"""

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from portbroker.errors import StoreDown

_LONGEST = 100
"""Bytes of a socket's path; systems allow 104 or 108."""


class Lock:
    """The lock of the database at `path`; taken by at most one process, until `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-lock")
        self._beside = path.with_name(f"{path.name}-socket")
        self._descriptor: int | None = None
        self._elsewhere: Path | None = None

    def take(self) -> bool:
        """Take it, if nobody has it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreDown(f"{self._path} cannot be opened: {error.strerror}; make its directory writable") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        return True

    def release(self) -> None:
        """Leave it to another."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # also for a child that has inherited it
            os.close(self._descriptor)
            self._descriptor = None
        if self._elsewhere is not None:
            with contextlib.suppress(OSError):
                self._elsewhere.rmdir()
            self._elsewhere = None

    def listen(self) -> socket.socket:
        """A socket that only this user can reach; where it is, is said in the lock."""
        assert self._descriptor is not None
        path = self._socket_path()
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
        os.pwrite(self._descriptor, os.fsencode(path), 0)
        return listener

    def where(self) -> str:
        """Where its holder listens; empty as long as it does not."""
        try:
            return os.fsdecode(self._path.read_bytes())
        except OSError:
            return ""

    def _socket_path(self) -> Path:
        if len(os.fsencode(self._beside)) <= _LONGEST:
            return self._beside
        self._elsewhere = Path(tempfile.mkdtemp(prefix="portbroker-"))
        return self._elsewhere / "socket"
