"""Fragments: one translation as written, compiled alone, before it is laid over those that it extends.

The one rule: a mistake in a translation is found here, whether or not any provider uses it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from portbroker.config.model import (
    AuthConfig,
    CatalogEntry,
    DialectName,
    HeaderRules,
    Price,
    TranslationConfig,
    TranslationMatch,
)  # fmt: skip
from portbroker.config.options import Options
from portbroker.fieldmap.classify import CompiledError, compile_errors
from portbroker.fieldmap.globs import compile_glob, literal_length
from portbroker.fieldmap.problems import Place
from portbroker.fieldmap.rules import Rule, compile_list

HOOKS = ("params", "request", "response", "stream")

_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_URL_WORDS = ("base", "model")


@dataclass(frozen=True, slots=True)
class Match:
    """When a translation chooses itself."""

    provider_types: frozenset[str] | None = None
    base_url: Callable[[str], bool] | None = None
    base_url_length: int = 0
    models: tuple[tuple[Callable[[str], bool], int], ...] | None = None

    def suits(self, provider_types: frozenset[str], place: str) -> bool:
        """Whether it may be chosen for some model of a provider of these types at this place."""
        if self.provider_types is not None and self.provider_types.isdisjoint(provider_types):
            return False
        return self.base_url is None or self.base_url(place)

    def score(self, model: str) -> tuple[int, int] | None:
        """How exactly it speaks of this model and of where it is; None when it does not."""
        if self.models is None:
            return 0, self.base_url_length
        lengths = [length for test, length in self.models if test(model)]
        return (max(lengths), self.base_url_length) if lengths else None


@dataclass(frozen=True, slots=True)
class Fragment:
    """One compiled translation, or the part of a catalog entry that is like one. `builtin`: it is ours."""

    name: str
    builtin: bool = False
    extends: tuple[str, ...] = ()
    match: Match | None = None
    dialect: DialectName | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None
    auth: AuthConfig | None = None
    headers: HeaderRules = field(default_factory=HeaderRules)
    rules_on_passthrough: bool | None = None
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    errors: tuple[CompiledError, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model."""

    context_window: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class CatalogFragment:
    """One compiled catalog entry: facts, and options and rules for the models that its glob names."""

    matches: Callable[[str], bool]
    length: int
    facts: Facts
    fragment: Fragment


def location(base_url: str) -> str:
    """Host and path of a URL, as `match.base_url` sees them: `api.groq.com/openai/v1`, `api.groq.com/`."""
    parts = urlsplit(base_url)
    return (parts.netloc.rpartition("@")[2].lower() + (parts.path or "/")) if parts.netloc else base_url


def compile_fragment(name: str, config: TranslationConfig, at: Place, builtin: bool = False) -> Fragment:
    """A translation as written, with its mistakes recorded."""
    if config.url is not None:
        _check_words(config.url, at / "url", _URL_WORDS)
    if config.auth is not None:
        _check_words(config.auth.value, at / "auth" / "value", ("key",))
    for header, value in config.headers.set.items():
        _check_words(value, at / "headers" / "set" / header, (*_URL_WORDS, "key"))
    options = check_options(config.options, at / "options")
    return Fragment(
        name,
        builtin,
        config.extends,
        _compile_match(config.match) if config.match is not None else None,
        config.dialect,
        options,
        config.url,
        config.auth,
        config.headers,
        config.rules_on_passthrough,
        {hook: _compile_hook(getattr(config, hook), at / hook, options) for hook in HOOKS},
        compile_errors(config.errors, at / "errors"),
    )


def _compile_hook(rules: Any, at: Place, options: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Rules as written; one that this translation's own options contradict can never apply, and is a mistake."""
    before = len(at.problems)
    compiled = compile_list(rules, at)
    if len(at.problems) > before:
        return compiled
    known = {f"options.{name}": value for name, value in options.items()}
    for number, rule in enumerate(compiled):
        if rule.when.fold(known) is False:
            (at / number / "when").fault("can never hold: the `options` of this translation say otherwise")
    return compiled


def compile_entry(glob: str, entry: CatalogEntry, at: Place, builtin: bool = False) -> CatalogFragment:
    """A catalog entry as written, with its mistakes recorded."""
    options = check_options(entry.options, at / "options")
    rules = {"request": compile_list(entry.request, at / "request")}
    facts = Facts(entry.context_window, entry.max_output_tokens, entry.price)
    fragment = Fragment(f"catalog {glob}", builtin, options=options, rules=rules)
    return CatalogFragment(compile_glob(glob), literal_length(glob), facts, fragment)


def _compile_match(match: TranslationMatch) -> Match:
    types = (match.provider_type,) if isinstance(match.provider_type, str) else match.provider_type
    models = (match.model,) if isinstance(match.model, str) else match.model
    return Match(
        frozenset(types) if types is not None else None,
        compile_glob(match.base_url.lower()) if match.base_url is not None else None,
        literal_length(match.base_url) if match.base_url is not None else 0,
        tuple((compile_glob(glob), literal_length(glob)) for glob in models) if models is not None else None,
    )


def _check_words(text: str, at: Place, known: tuple[str, ...]) -> None:
    for word in _PLACEHOLDER.findall(text):
        if word not in known:
            at.unknown("variable", "${" + word + "}", ["${" + name + "}" for name in known])


# Options


_NAMES = {field.alias or name: field for name, field in Options.model_fields.items()}


def check_options(options: Mapping[str, Any], at: Place) -> Mapping[str, Any]:
    """Those options that may be set, by the names of the file; the others are recorded."""
    known = {name: value for name, value in options.items() if name in _NAMES}
    for name in options.keys() - known.keys():
        (at / name).unknown("option", name, _NAMES)
    try:
        Options.model_validate(known)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]): fault["msg"] for fault in error.errors()}
        for name, message in wrong.items():
            (at / name).fault(message, _allowed(name))
        return {name: value for name, value in known.items() if name not in wrong}
    return known


def _allowed(name: str) -> str:
    values = get_args(_NAMES[name].annotation)
    return f"known: {', '.join(values)}" if values and all(isinstance(value, str) for value in values) else ""
