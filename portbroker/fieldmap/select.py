"""Selection: which field map a model of a provider gets.

A provider's own `translation` wins; else the translation whose `match` says most exactly what the target is; else the
one that is named like the provider's type. The one rule: all that can be wrong is found before a model is asked for.
"""

from collections.abc import Iterable, Mapping

from portbroker.config.model import CatalogEntry, ProviderConfig, TranslationConfig
from portbroker.fieldmap.effective import FieldMap, Where, build
from portbroker.fieldmap.fragments import Fragment, compile_fragment, location
from portbroker.fieldmap.library import Library, builtin_fragments
from portbroker.fieldmap.presets import preset_names, provider_defaults, vendor_at
from portbroker.fieldmap.problems import Place, RuleProblem, refuse

_GENERIC = frozenset({"custom", "openai"})  # types that people write for whatever speaks like OpenAI


class ProviderMaps:
    """The field maps of one provider, by upstream model. What it gives may be kept."""

    def __init__(self, library: Library, provider: ProviderConfig, models: Iterable[str] = ()) -> None:
        """Choose and check; raises `RulesError`, its places counted from the provider.

        `models` are those that the file names for this provider: translations that match one equally well are a fault.
        """
        problems: list[RuleProblem] = []
        at = Place(problems)
        self._library = library
        self._provider = provider.name
        self._base_url = provider.base_url or provider_defaults(provider.provider_type).base_url or ""
        place = location(self._base_url)
        vendor = vendor_at(place) if provider.provider_type in _GENERIC else None
        types = frozenset({str(provider.provider_type), vendor or provider.provider_type})
        self._fallback = self._named_like(provider.provider_type, vendor, at / "provider_type")
        self._candidates = [f for f in self._all(types) if f.match is not None and f.match.suits(types, place)]
        self._fixed, self._own = self._declared(provider.translation, at / "translation")
        if self._fixed is None:
            self._check_ties(models, at)
        refuse(problems)

    def _named_like(self, provider_type: str, vendor: str | None, at: Place) -> Fragment:
        name = provider_type if vendor is None or provider_type in self._library.user else vendor
        found = self._library.find(name)
        if found is None:
            at.unknown("provider_type", provider_type, [*preset_names(), *self._library.user])
        return found or Fragment(name)

    def _all(self, types: Iterable[str]) -> list[Fragment]:
        """The translations that may choose themselves: ours for these types, then the user's in their order."""
        user = self._library.user
        ours = [f for kind in sorted(types) if kind in preset_names() for f in builtin_fragments(kind).values()]
        return [f for f in ours if f.name not in user] + list(user.values())

    def _declared(
        self, translation: str | TranslationConfig | None, at: Place
    ) -> tuple[Fragment | None, Fragment | None]:
        """The translation that the provider fixes, and the rules that are its own."""
        if translation is None:
            return None, None
        if isinstance(translation, str):
            found = self._library.find(translation)
            if found is None:
                at.unknown("translation", translation, self._library.names())
            return found, None
        if translation.match is not None:
            (at / "match").fault("a provider's own translation is always taken; it has no `match`")
        own = compile_fragment(f"of provider {self._provider}", translation, at)
        self._library.check_lineage(own, at)
        return (own, None) if own.extends else (None, own)

    def _check_ties(self, models: Iterable[str], at: Place) -> None:
        for model in dict.fromkeys(models):
            best = self._best(model)
            if len(best) > 1:
                names = ", ".join(fragment.name for fragment in best)
                hint = "make one `match` more exact, or name the translation under `translation`"
                at.fault(f"the translations {names} match {model!r} equally well", hint)

    def _best(self, model: str) -> list[Fragment]:
        """The candidates that match a model most exactly; the user's win over ours that are no more exact."""
        scored = [(f.match.score(model), f) for f in self._candidates if f.match is not None]
        ranked = [((*score, not f.builtin), f) for score, f in scored if score is not None]
        best = max((rank for rank, _ in ranked), default=None)
        return [f for rank, f in ranked if rank == best]

    def chosen(self, model: str) -> Fragment:
        """The translation that a model gets, before its base translations and the provider's own rules."""
        best = [self._fixed] if self._fixed is not None else self._best(model)
        return best[-1] if best else self._fallback

    def resolve(self, model: str) -> FieldMap:
        """The field map of an upstream model. Cannot fail."""
        chosen = self.chosen(model)
        line = self._library.lineage(chosen) + ([self._own] if self._own is not None else [])
        facts, entries = self._library.about(model)
        # What is said of a model goes over what is said of a vendor, and what the user wrote over what we know.
        ours = max((at for at, fragment in enumerate(line, 1) if fragment.builtin), default=0)
        known = [entry for entry in entries if entry.builtin]
        fragments = [*line[:ours], *known, *line[ours:], *(entry for entry in entries if not entry.builtin)]
        return build(chosen.name, fragments, facts, Where(self._provider, self._base_url, model))


def compile_library(translations: Mapping[str, TranslationConfig], catalog: Mapping[str, CatalogEntry]) -> Library:
    """The user's translations and catalog over ours; raises `RulesError`, its places counted from the file's root."""
    return Library(translations, catalog)
