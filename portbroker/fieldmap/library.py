"""The library: every translation and catalog entry there is, ours and the user's, with `extends` followed.

The one rule: a name means the user's translation before ours; one that extends its own name means ours by it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from portbroker.config.model import CatalogEntry, TranslationConfig
from portbroker.fieldmap.fragments import (
    HOOKS,
    CatalogFragment,
    Facts,
    Fragment,
    compile_entry,
    compile_fragment,
)  # fmt: skip
from portbroker.fieldmap.presets import builtin_names, read_preset
from portbroker.fieldmap.problems import Place, RuleProblem, refuse

MAX_RULES: Final = 500
MAX_TRANSLATIONS: Final = 200

_NAME = re.compile(r"[a-z0-9_-]+")


@cache
def builtin_fragments(file: str) -> Mapping[str, Fragment]:
    """The compiled translations of one preset file, by name."""
    problems: list[RuleProblem] = []
    at = Place(problems, ("presets", file, "translations"))
    written = read_preset(file).get("translations", {})
    compiled = {
        name: compile_fragment(name, TranslationConfig.model_validate(source), at / name, builtin=True)
        for name, source in written.items()
    }
    refuse(problems)
    return compiled


@cache
def builtin_catalog() -> tuple[CatalogFragment, ...]:
    """The compiled entries of the catalog inside the package."""
    problems: list[RuleProblem] = []
    at = Place(problems, ("presets", "catalog"))
    written = read_preset("catalog")["catalog"]
    compiled = tuple(
        compile_entry(glob, CatalogEntry.model_validate(entry), at / glob, builtin=True)
        for glob, entry in written.items()
    )
    refuse(problems)
    return compiled


class Library:
    """Translations by name, and what is known of models."""

    def __init__(self, translations: Mapping[str, TranslationConfig], catalog: Mapping[str, CatalogEntry]) -> None:
        """Compile what the user wrote; raises `RulesError` with every problem found in it."""
        problems: list[RuleProblem] = []
        at = Place(problems)
        self.user: dict[str, Fragment] = {
            name: compile_fragment(name, config, at / "translations" / name) for name, config in translations.items()
        }
        self.entries: list[CatalogFragment] = [
            compile_entry(glob, entry, at / "catalog" / glob) for glob, entry in catalog.items()
        ]
        self._check_names(at / "translations")
        _check_twins(translations, at / "translations")
        if len(self.user) <= MAX_TRANSLATIONS:
            for name, fragment in self.user.items():
                self.check_lineage(fragment, at / "translations" / name)
        refuse(problems)

    def find(self, name: str, by: Fragment | None = None) -> Fragment | None:
        """The translation of this name, as `by` means it when it is one that extends it."""
        own_name = by is not None and not by.builtin and by.name == name
        if name in self.user and not own_name:
            return self.user[name]
        file = builtin_names().get(name)
        return builtin_fragments(file)[name] if file is not None else None

    def names(self) -> list[str]:
        """Every name that can be extended."""
        return [*self.user, *builtin_names()]

    def lineage(self, fragment: Fragment) -> list[Fragment]:
        """A translation after all that it extends, depth first, each once; later ones win."""
        line: dict[int, Fragment] = {}
        self._follow(fragment, set(), line)
        return list(line.values())

    def _follow(self, fragment: Fragment, seen: set[int], line: dict[int, Fragment]) -> None:
        seen.add(id(fragment))
        for base in self._bases(fragment):
            if id(base) not in seen:
                self._follow(base, seen, line)
        line[id(fragment)] = fragment

    def _bases(self, fragment: Fragment) -> list[Fragment]:
        found = (self.find(name, fragment) for name in fragment.extends)
        return [base for base in found if base is not None]

    def _check_names(self, at: Place) -> None:
        if len(self.user) > MAX_TRANSLATIONS:
            at.fault(f"{len(self.user)} translations are more than the {MAX_TRANSLATIONS} that a file may have")
        for name in self.user:
            if _NAME.fullmatch(name) is None:
                (at / name).fault("a translation's name is made of a-z, 0-9, _ and -")
        rules = sum(len(rules) for f in self.user.values() for rules in (*f.rules.values(), f.errors))
        if rules > MAX_RULES:
            at.fault(f"{rules} rules are more than the {MAX_RULES} that a file may have")

    # What can be wrong with `extends`

    def check_lineage(self, fragment: Fragment, at: Place) -> None:
        """Record unknown names, cycles, and rules that are disabled but are not there."""
        before = len(at.problems)
        for number, name in enumerate(fragment.extends):
            if self.find(name, fragment) is None:
                (at / "extends" / number).unknown("translation", name, self.names())
        if cycle := self._way(fragment, fragment, set()):
            (at / "extends").fault(f"goes round in a circle: {' -> '.join([*cycle, fragment.name])}")
        if len(at.problems) == before and fragment.extends:
            self._check_disabled(fragment, at)

    def _way(self, start: Fragment, end: Fragment, seen: set[int]) -> list[str]:
        """The names on a way from one translation through what it extends to another; none when there is no way."""
        seen.add(id(start))
        for base in self._bases(start):
            if base is end:
                return [start.name]
            if id(base) not in seen and (way := self._way(base, end, seen)):
                return [start.name, *way]
        return []

    def _check_disabled(self, fragment: Fragment, at: Place) -> None:
        inherited = self.lineage(fragment)[:-1]
        for hook in HOOKS:
            if hook != "params":  # the tables of the dialects are always beneath
                known = {rule.id for base in inherited for rule in base.rules.get(hook, ())}
                _check_ids(fragment.rules.get(hook, ()), known, at / hook)
        _check_ids(fragment.errors, {rule.id for base in inherited for rule in base.errors}, at / "errors")

    # What is known of a model

    def about(self, model: str) -> tuple[Facts, list[Fragment]]:
        """What the catalog says of a model: its facts, and fragments from the least to the most exact."""
        found = [entry for entry in (*builtin_catalog(), *self.entries) if entry.matches(model)]
        found.sort(key=lambda entry: (not entry.fragment.builtin, entry.length))
        facts = Facts()
        for entry in found:
            facts = _over(facts, entry.facts)
        return facts, [entry.fragment for entry in found]


def _check_twins(translations: Mapping[str, TranslationConfig], at: Place) -> None:
    """Record translations that match exactly the same."""
    seen: dict[str, str] = {}
    for name, config in translations.items():
        if config.match is None:
            continue
        twin = seen.setdefault(config.match.model_dump_json(), name)
        if twin != name:
            (at / name / "match").fault(f"matches exactly what {twin} matches: nothing says which is meant")


def _check_ids(rules: Iterable[object], known: set[str | None], at: Place) -> None:
    for number, rule in enumerate(rules):
        name = getattr(rule, "id", None)
        if getattr(rule, "disable", False) and name not in known:
            (at / number / "id").unknown("rule", name, [one for one in known if one is not None])


def _over(facts: Facts, later: Facts) -> Facts:
    given = {name: value for name in Facts.__slots__ if (value := getattr(later, name)) is not None}
    return replace(facts, **given)
