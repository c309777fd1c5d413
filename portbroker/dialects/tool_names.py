"""Tool names as OpenAI's APIs take them, and the way back.

The one rule: one function for definitions, history and choice, so that they always agree.
"""

import hashlib
import re

_ALLOWED = re.compile(r"[A-Za-z0-9_-]+")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_MARK = 9  # an underscore and eight hex digits


class ToolNames:
    """The names of one call. `shortened` maps each name that had to change back to the client's."""

    __slots__ = ("_longest", "shortened")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.shortened: dict[str, str] = {}

    def put(self, name: str) -> str:
        """The name to send: the name itself, or its beginning and a hash of all of it."""
        # Most names are identifiers, and to find that out takes a third of the time of matching.
        if len(name) <= self._longest and ((name.isascii() and name.isidentifier()) or _ALLOWED.fullmatch(name)):
            return name
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[: _MARK - 1]
        short = f"{_FOREIGN.sub('_', name)[: self._longest - _MARK]}_{digest}"
        self.shortened[short] = name
        return short
