"""What the file says of models, their prices and their translations, and can hardly be so.

The one rule: a price that is missing is only worth a word where the file shows that prices matter.
"""

from collections.abc import Iterator

from portbroker.config.load import Loaded
from portbroker.config.model import CatalogEntry, TranslationConfig
from portbroker.config.place import Path
from portbroker.named import STAND_IN, named_targets
from portbroker.snapshot import Snapshot

_PER_TOKEN = 0.0005
"""US dollars per million tokens below which a price was meant for one token."""
_FREE = frozenset(("demo", "ollama", "vllm", "llamacpp", "lmstudio"))


def doubtful_facts(loaded: Loaded, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """What is doubtful about the catalog and the translations."""
    for glob, entry in loaded.config.catalog.items():
        yield from _entry(("catalog", glob), entry)
    if any(entry.price for entry in loaded.config.catalog.values()):
        yield from _unpriced(loaded, snapshot)
    yield from _translations(loaded)


def _entry(at: Path, entry: CatalogEntry) -> Iterator[tuple[Path, str, str]]:
    window, most, price = entry.context_window, entry.max_output_tokens, entry.price
    if window is not None and most is not None and most > window:
        yield (*at, "max_output_tokens"), f"more than the whole window of {window} tokens", "check both numbers"
    if price is None:
        return
    for word in ("input", "output"):
        if 0 < getattr(price, word) < _PER_TOKEN:
            yield (*at, "price", word), "prices are in US dollars per million tokens; this looks like one token's", (
                "multiply it by 1000000")  # fmt: skip
    if price.cached_input is not None and price.cached_input > price.input:
        yield (*at, "price", "cached_input"), "dearer than tokens that are not cached", "check both numbers"


def _unpriced(loaded: Loaded, snapshot: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """Models without a price beside others that have one: what they cost is in no budget."""
    places = {provider.name: index for index, provider in enumerate(loaded.config.providers)}
    for target in named_targets(snapshot).values():
        provider = target.provider
        if STAND_IN in target.model or "?" in target.model or provider.provider_type in _FREE:
            continue
        if target.fieldmap.facts.price is None and provider.name in places:
            what = f"the price of {target.model} is not known: no budget counts what it costs"
            yield ("providers", places[provider.name]), what, f"add {target.model!r} to `catalog:` with its `price`"


def _translations(loaded: Loaded) -> Iterator[tuple[Path, str, str]]:
    config = loaded.config
    own = [p.translation for p in config.providers if isinstance(p.translation, TranslationConfig)]
    used = {p.translation for p in config.providers if isinstance(p.translation, str)}
    used |= {name for one in (*config.translations.values(), *own) for name in one.extends}
    used |= {str(provider.provider_type) for provider in config.providers}
    for name, translation in config.translations.items():
        if name not in used and translation.match is None:
            yield ("translations", name), "no provider names this translation, and it has no `match`", (
                f"write `translation: {name}` under a provider, or give it a `match`")  # fmt: skip
