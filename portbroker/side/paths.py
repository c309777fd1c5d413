"""The path that a client means: clients append theirs to a base URL in different ways.

The one rule: a path is looked at in this form by everything that follows, so that whoever may not call one spelling may
call none; and a path that is served as it stands is never another.
"""

import re
from collections.abc import Callable

_SLASHES = re.compile("/{2,}")
_LONGEST = 2048


def meant_path(path: str, served: Callable[[str], bool]) -> str:
    """The served path that `path` most likely means, or itself.

    `/v1/v1/messages`, `/messages` and `//v1/messages/` all mean `/v1/messages`: the base URL was given with the
    version and the client adds it, or without and the client does not, or it ends with a slash.
    """
    if served(path) or len(path) > _LONGEST:
        return path
    plain = _SLASHES.sub("/", path).rstrip("/") or "/"
    while plain.startswith("/v1/v1/"):
        plain = plain.removeprefix("/v1")
    spellings = (plain, plain.replace("/v1/v1/", "/v1/"), f"/v1{plain}", _versioned(plain))
    return next((spelling for spelling in spellings if served(spelling)), path)


def _versioned(path: str) -> str:
    """The path with a version behind its prefix: `/api/anthropic/messages`."""
    prefix = "/api/anthropic/"
    return f"{prefix}v1/{path.removeprefix(prefix)}" if path.startswith(prefix) else path
