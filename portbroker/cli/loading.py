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
    """Where a provider is, and what is between, for people."""
    if "://" not in provider.base_url:
        return "inside this process"
    proxy = proxy_before(provider)
    return f"{provider.base_url} through the proxy {proxy}" if proxy else provider.base_url


def proxy_before(provider: "Provider") -> str | None:
    """Host and port of the proxy that a provider is reached through."""
    proxy = provider.way.to(provider.base_url).proxy
    return str(proxy) if proxy else None


def near(word: str, known: Iterable[str]) -> str:
    """The hint for a word that is not known."""
    from difflib import get_close_matches

    words = list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(map(repr, words)) or 'none'}"
