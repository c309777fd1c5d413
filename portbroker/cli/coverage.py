"""Which rules of a file its tests reach: model rules, and the rules of field maps that write requests.

The one rule: only what stands in the file counts; what a preset brings along has tests of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from portbroker.config.load import Loaded
from portbroker.config.model import TranslationConfig
from portbroker.conversation import Json
from portbroker.errors import Problem
from portbroker.fieldmap.params import known_options
from portbroker.fieldmap.problems import Place
from portbroker.fieldmap.rules import Rule, Traced, compile_list
from portbroker.resolution import Explanation
from portbroker.snapshot import Target

HOOKS = ("params", "request")
"""The rules that a test can reach: it has no answer of a provider."""
At = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Countable:
    """A rule of the file, where it stands, and what it is called there."""

    at: At
    name: str


class Coverage:
    """The rules of a file, and those that were reached; a `Tracing` for its tests."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._written: dict[int, Countable] = {}
        self._models: dict[int, Countable] = {}
        self._reached: set[At] = set()
        if "models" in loaded.config.model_fields_set:
            for index, rule in enumerate(loaded.config.models):
                self._models[index + 1] = Countable(("models", index), str(rule.match or rule.regex))
        for at, source in _sources(loaded):
            self._written[id(source)] = Countable(at, str(source.get("id") or _operation(source)))

    # as a tracing

    def asked(self, explanation: Explanation) -> None:
        for rule in explanation.way.rules:
            if known := self._models.get(rule.number):
                self._reached.add(known.at)

    def traced(self, target: Target) -> Target:
        fieldmap = target.fieldmap
        known = {"provider": target.provider.name, "model": target.model, **known_options(fieldmap.options)}
        hooks = {hook: Traced(_compiled(fieldmap.sources[hook]), known, self._note) for hook in HOOKS}
        return replace(target, fieldmap=replace(fieldmap, params=hooks["params"], request=hooks["request"]))

    def _note(self, rule: Rule) -> None:
        if written := self._written.get(id(rule.source)):
            self._reached.add(written.at)

    # the outcome

    @property
    def count(self) -> tuple[int, int]:
        """How many rules were reached, and how many there are."""
        return len(self._reached), len(self._models) + len(self._written)

    def unreached(self) -> list[Problem]:
        """The others, each at its place."""
        every = (*self._models.values(), *self._written.values())
        return [
            self._loaded.problem(rule.at, f"no test reaches this rule ({rule.name})")
            for rule in every
            if rule.at not in self._reached
        ]


def _compiled(sources: tuple[Any, ...]) -> tuple[Rule, ...]:
    return compile_list(sources, Place([]))


def _operation(source: Json) -> str:
    return next((str(word) for word in source if word not in ("when", "report")), "rule")


def _sources(loaded: Loaded) -> Iterator[tuple[At, Json]]:
    """Every rule of a field map in the file that could be reached, and where it stands."""
    for name, translation in loaded.config.translations.items():
        yield from _of(("translations", name), translation)
    for index, provider in enumerate(loaded.config.providers):
        if isinstance(provider.translation, TranslationConfig):
            yield from _of(("providers", index, "translation"), provider.translation)
    for glob, entry in loaded.config.catalog.items():
        yield from _rules(("catalog", glob, "request"), entry.request)


def _of(at: At, translation: TranslationConfig) -> Iterator[tuple[At, Json]]:
    for hook in HOOKS:
        yield from _rules((*at, hook), getattr(translation, hook))


def _rules(at: At, rules: Any) -> Iterator[tuple[At, Json]]:
    for number, source in enumerate(rules):
        if source.get("disable") is not True:
            yield (*at, number), source
