"""A file as commands need it: loaded, compiled, or refused with every problem."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.cli.terminal import CommandError

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.snapshot import Provider, Snapshot


def compiled(path: Path, *, thorough: bool = False) -> "tuple[Loaded, Snapshot]":
    """What stands in the file and what it means. Raises ConfigError with every problem."""
    from portbroker.compile import compile_snapshot
    from portbroker.config.load import load

    loaded = load(path, thorough=thorough)
    return loaded, compile_snapshot(loaded)


def provider_of(snapshot: "Snapshot", name: str) -> "Provider":
    """The provider of that name, in any case. Raises CommandError that names the nearest."""
    for known, provider in snapshot.providers.items():
        if known.casefold() == name.casefold():
            return provider
    raise CommandError(f"there is no provider {name!r}", near(name, snapshot.providers))


def place_of(provider: "Provider") -> str:
    """Where a provider is, for people."""
    return provider.base_url if "://" in provider.base_url else "inside this process"


def near(word: str, known: Iterable[str]) -> str:
    """The hint for a word that is not known."""
    from difflib import get_close_matches

    words = list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(map(repr, words)) or 'none'}"
