"""Notices that files have changed, however it was done: in place, renamed over, relinked, gone and back.

Events of the kernel say when to look; what counts is what `stat` says, looked at every second in any case, because
network file systems, overlays and exhausted watches send no events. The one rule: nothing is read here, and nothing
that happens to a file or to the kernel's watches ends the watching.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from watchfiles.main import FileChange

log = logging.getLogger("portbroker.watch")

LOOK_EVERY = 1.0
"""Seconds between two looks when no event comes."""
SETTLED = 0.1
"""Seconds without a change after which a file is taken to be written."""
SETTLED_AT_MOST = 1.0
"""Seconds after which a file that keeps changing is read all the same."""
_STEP = 100
"""Milliseconds between two looks of the thread that hears of events: each takes the interpreter from others."""
_HOPS = 40
"""Symbolic links that are followed, as many as Linux follows."""

Stamp: TypeAlias = tuple[int, ...] | None
"""What `stat` says of a file that matters here; None when it is not there."""


def stamp(path: Path) -> Stamp:
    """Which file this is, how large, and when it was last changed in any way."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def places(path: Path) -> set[Path]:
    """Where an event must happen for a path to lead to another content: the directories that it leads through, and the
    file itself (a bind mount is changed without its directory)."""
    found: set[Path] = set()
    current = Path(os.path.abspath(path))
    for _ in range(_HOPS):
        found |= {current.parent, Path(os.path.realpath(current.parent))}
        if not current.is_symlink():
            break
        for parent in current.parents:
            if parent.is_symlink():
                found.add(parent.parent)
        current = Path(os.path.normpath(current.parent / os.readlink(current)))
    resolved = Path(os.path.realpath(path))
    found |= {resolved, resolved.parent}
    return {place for place in found if place.exists()}


async def changes(files: Callable[[], Collection[Path]]) -> AsyncIterator[None]:
    """Yields each time any of `files` has changed and come to rest. `files` may name others after each time."""
    seen = _stamps(files())
    async for _ in _stirrings(files):
        now = _stamps(files())
        if now != seen:
            seen = await _at_rest(files, now)
            yield


def _stamps(files: Collection[Path]) -> dict[Path, Stamp]:
    return {path: stamp(path) for path in files}


async def _at_rest(files: Callable[[], Collection[Path]], before: dict[Path, Stamp]) -> dict[Path, Stamp]:
    """The stamps once they have stayed the same for a moment, or have had long enough."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLED_AT_MOST
    while loop.time() < deadline:
        await asyncio.sleep(SETTLED)
        now = _stamps(files())
        if now == before:
            break
        before = now
    return before


async def _stirrings(files: Callable[[], Collection[Path]]) -> AsyncIterator[None]:
    """Yields whenever it may be worth a look: on events of the kernel, and every second."""
    yield
    while True:
        where = _all_places(files())
        async with contextlib.aclosing(_events(where)) as events:
            async for _ in events:
                yield
                if _all_places(files()) != where:
                    break  # a link leads elsewhere now, or a directory has come or gone


def _all_places(files: Collection[Path]) -> set[Path]:
    return {place for path in files for place in places(path)}


async def _events(where: set[Path]) -> AsyncGenerator[None]:
    """Yields at events in these places, and every second without one. Ends when a place is no longer there."""
    try:
        async with contextlib.aclosing(_kernel_events(where)) as events:
            async for _ in events:
                yield
    except FileNotFoundError:
        await asyncio.sleep(SETTLED)
    except (OSError, RuntimeError) as error:
        log.warning("the kernel watches no more files (%s); looking every second instead", error)
        while True:
            await asyncio.sleep(LOOK_EVERY)
            yield


def _kernel_events(where: set[Path]) -> "AsyncGenerator[set[FileChange]]":
    from watchfiles import awatch  # imported when it is first needed: a library of its own, with a thread

    return awatch(
        *where,
        watch_filter=None,
        debounce=_STEP,
        step=_STEP,
        rust_timeout=int(LOOK_EVERY * 1000),
        yield_on_timeout=True,
        recursive=False,
    )
