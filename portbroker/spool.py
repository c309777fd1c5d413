"""Usage on its way to the database, on disk: what was written here outlives the process.

A process appends to a segment of its own, and locks it; the lock goes with the process. A segment that nobody has
locked is an orphan: whoever finds it may lock it and record what it holds. A record is its length, its CRC-32 and its
bytes; one that is cut short ends its segment. The one rule: nothing here waits for anyone, and a disk that is full or
broken costs records, counted, and never a call.
"""

import fcntl
import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("portbroker.spool")

LIMIT = 1 << 30
"""Bytes that segments may have, all together."""
_HEAD = struct.Struct("<II")
_LONGEST = 16 << 20
_SEGMENT = ".segment"
_FRESH = ".fresh"
_DEAD = "dead-letters.jsonl"
_DEAD_LIMIT = 64 << 20
_LOOK_AGAIN = 5.0
"""Seconds after which the size of the whole directory is looked up again."""


@dataclass(eq=False, slots=True)
class Segment:
    """A file of records that this process has locked."""

    path: Path
    descriptor: int
    size: int = 0

    def records(self) -> list[bytes]:
        """What it holds, up to the first record that is not whole."""
        return list(_records(_content(self.descriptor)))

    def discard(self) -> None:
        """All of it is in the database."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self.descriptor)

    def release(self) -> None:
        """Leave it to whoever finds it."""
        os.close(self.descriptor)


def _content(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or length > _LONGEST or zlib.crc32(record) != checksum:
            break
        yield record
        at += _HEAD.size + length
    if at < len(data):
        log.warning("the last %d bytes of a spool segment are no whole record", len(data) - at)


@dataclass(slots=True)
class Counts:
    """What became of records, since the start of the process."""

    spooled: int = 0
    dropped: int = 0
    """Lost: there was no room on disk nor in memory."""
    unspooled: int = 0
    """Kept in memory alone: the disk would not take them."""
    dead: int = 0
    """Refused by the database, and put aside in the file of dead letters."""


class Spool:
    """The segments of one process, in a directory that it shares with others. `limit` in bytes, for all of them."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self.directory = directory
        self.counts = Counts()
        self._limit = limit
        self._segment: Segment | None = None
        self._made = 0
        self._others = 0  # bytes of what is not our segment, when we last looked
        self._looked = float("-inf")
        self._complained = float("-inf")

    def append(self, record: bytes) -> bool:
        """Whether the record is on disk. Never raises and never waits for more than the disk."""
        frame = _HEAD.pack(len(record), zlib.crc32(record)) + record
        try:
            segment = self._segment or self._begin()
            if segment.size + self._others + len(frame) > self._limit:
                self._complain("the spool has reached its limit (usage.spool_limit)")
                return False
            if os.write(segment.descriptor, frame) != len(frame):
                os.ftruncate(segment.descriptor, segment.size)
                self._complain("the disk of the spool is full")
                return False
        except OSError as error:
            self._complain(f"the spool cannot be written ({error.strerror})")
            return False
        segment.size += len(frame)
        self.counts.spooled += 1
        return True

    def _begin(self) -> Segment:
        now = time.monotonic()
        if now - self._looked > _LOOK_AGAIN:
            self._looked, self._others = now, size(self.directory)
        self._made += 1
        name = f"{time.time_ns():020d}-{os.getpid()}-{self._made}"
        fresh = self.directory / (name + _FRESH)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Locked before it has the name by which others look for orphans: nobody can be first.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = fresh.with_suffix(_SEGMENT)
            fresh.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        self._segment = Segment(path, descriptor)
        return self._segment

    def seal(self) -> Segment | None:
        """What was appended since the last time, as a segment of its own; None for nothing."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._others += segment.size
        return segment

    def _complain(self, what: str) -> None:
        """Say it, once a minute: there may be thousands a second."""
        now = time.monotonic()
        if now - self._complained > 60:
            self._complained = now
            log.error("%s: usage is kept in memory until the database takes it", what)

    def bury(self, records: list[bytes]) -> None:
        """Put aside what the database will never take, for a person to look at."""
        path = self.directory / _DEAD
        self.counts.dead += len(records)
        log.error("the database refuses %d records of usage: see %s", len(records), path)
        with suppress(OSError), open(path, "ab", opener=_private) as file:
            if file.tell() < _DEAD_LIMIT:
                file.writelines(record + b"\n" for record in records)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(slots=True)
class Waiting:
    """What is in the spool, of whatever process: for those who watch over it. `oldest` in seconds."""

    bytes: int = 0
    segments: int = 0
    oldest: float = 0.0
    _now: float = field(default_factory=time.time)

    def add(self, path: Path, size: int) -> None:
        self.bytes += size
        self.segments += 1
        began = int(path.name[:20]) / 1e9 if path.name[:20].isdecimal() else self._now
        self.oldest = max(self.oldest, self._now - began)


def waiting(directory: Path) -> Waiting:
    """How much usage is not in the database yet."""
    found = Waiting()
    for path in segments(directory):
        with suppress(FileNotFoundError):
            found.add(path, path.stat().st_size)
    return found


def size(directory: Path) -> int:
    """Bytes of all segments."""
    return waiting(directory).bytes


def segments(directory: Path) -> list[Path]:
    """All of them, the oldest first."""
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == _SEGMENT)
    except FileNotFoundError:
        return []


def orphans(directory: Path) -> Iterator[Segment]:
    """The segments that nobody has locked, the oldest first; each is locked before it is given."""
    for path in segments(directory):
        if segment := _adopt(path):
            yield segment


def _adopt(path: Path) -> Segment | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None  # somebody has recorded it meanwhile
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if not status.st_nlink:  # it was, between the two
        os.close(descriptor)
        return None
    return Segment(path, descriptor, status.st_size)
