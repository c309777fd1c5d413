"""The line `...` at the end of a file, by which a part of it can be told from the whole.

The one rule: only a file that has had the mark is held to it.
"""

from collections.abc import Iterator

from portbroker.config.load import Loaded
from portbroker.errors import Problem

_HINT = "put `...` back at its end; only a restart serves it without"


def ended(loaded: Loaded) -> frozenset[str]:
    """Those of the files of a configuration that have the mark, by their names; "" is the first."""
    return frozenset(name for name, text in _texts(loaded) if _has_end(text))


def cut(loaded: Loaded, had: frozenset[str]) -> list[Problem]:
    """The files without the mark that had it before."""
    return [
        Problem(_file(loaded, name), text.count(b"\n") + 1, 1,
                "the file ends without its last line `...`: it was cut, or is being written", hint=_HINT)
        for name, text in _texts(loaded)
        if name in had and not _has_end(text)
    ]  # fmt: skip


def _texts(loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    yield "", loaded.text
    for name, text in loaded.parts().items():
        if name in loaded.included:
            yield name, text


def _file(loaded: Loaded, name: str) -> str:
    return loaded.part_file(name) if name else loaded.file


def _has_end(text: bytes) -> bool:
    """Whether the last line is `...`; after it may stand nothing but comments."""
    for line in reversed(text.splitlines()):
        if (said := line.rstrip()) and not said.lstrip().startswith(b"#"):
            return said == b"..."
    return False
