"""How the process holds its memory. The one rule: set once, before the first call, and nothing depends on it."""

import ctypes
import gc
import sys

_NEW_OBJECTS = 50_000
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE = 128 * 1024
_SPARE = 8 * 1024 * 1024
"""Bytes that are kept for the next call: to have the system take them and give them again takes as long as the call."""


def spare_garbage_collector() -> None:
    """Let it look for circles less often, and not among what was there before the first call.

    The body of one call is a thousand objects, and a call leaves no circle behind: with the usual threshold a third of
    the time of a large call went into looking through those that are under way.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def give_back_large_buffers() -> None:
    """Have the C library return the buffers of large bodies to the system as soon as they are free.

    glibc does so by itself, until it has seen a few of them; then it keeps all, in pieces: after bodies of a megabyte a
    gateway held twice its memory for good.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and need none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGE)
            mallopt(_M_TRIM_THRESHOLD, _SPARE)  # or it would be what it is for a process that has no large buffers
