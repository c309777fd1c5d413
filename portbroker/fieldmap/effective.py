"""The effective field map of one provider and model: every fragment that applies, laid one over the other.

The one rule: merging cannot fail, for each fragment was checked alone and none can break another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

from portbroker.config.model import AuthConfig, DialectName
from portbroker.config.options import Options
from portbroker.conversation import Json
from portbroker.fieldmap.classify import Classifier, CompiledError
from portbroker.fieldmap.fragments import HOOKS, Facts, Fragment
from portbroker.fieldmap.params import dialect_table, known_options
from portbroker.fieldmap.problems import Place
from portbroker.fieldmap.rules import Rule, Rules, bind_rules, compile_list, overlay

T = TypeVar("T")

DEFAULT_AUTH: Mapping[str, AuthConfig] = {
    "anthropic.messages": AuthConfig(header="x-api-key", value="${key}"),
    "openai.chat": AuthConfig(header="authorization", value="Bearer ${key}"),
    "openai.responses": AuthConfig(header="authorization", value="Bearer ${key}"),
}


@dataclass(frozen=True, slots=True)
class FieldMap:
    """How one model of one provider differs from the plain dialect.

    `params`, `request`, `response` and `stream` take (document, context, report) and give a document; each is false
    when it would do nothing. `errors` takes (document, status) and gives a class and a message, or None; false when it
    knows nothing. `url` is complete, or None for the base URL and the dialect's own path. `auth.value` and the values
    of `headers` may hold `${key}`, which stands for the credential. `names` are the translations that it is made of.
    """

    name: str
    names: tuple[str, ...]
    dialect: DialectName
    options: Options
    options_view: Mapping[str, Any]
    params: Rules
    request: Rules
    response: Rules
    stream: Rules
    errors: Classifier
    url: str | None
    auth: AuthConfig
    headers: Mapping[str, str]
    drop_headers: frozenset[str]
    rules_on_passthrough: bool
    facts: Facts
    sources: Mapping[str, tuple[Mapping[str, Any], ...]]

    def show(self) -> Json:
        """The field map in the words of the file, as `portbroker show` prints it: what differs from the defaults."""
        whole: Json = {
            "translation": list(self.names),
            "dialect": self.dialect,
            "options": self.options.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            "url": self.url,
            "auth": self.auth.model_dump(),
            "headers": {"set": dict(self.headers), "drop": sorted(self.drop_headers)},
            "rules_on_passthrough": self.rules_on_passthrough,
            **{hook: list(rules) for hook, rules in self.sources.items()},
        }
        empty: tuple[Any, ...] = (None, [], {}, False, {"set": {}, "drop": []})
        return {key: value for key, value in whole.items() if value not in empty}


@dataclass(frozen=True, slots=True)
class Where:
    """What a field map is made for."""

    provider: str
    base_url: str
    model: str


def build(name: str, fragments: Sequence[Fragment], facts: Facts, where: Where) -> FieldMap:
    """The fragments as one field map; later ones win."""
    dialect: DialectName = _last((f.dialect for f in fragments), "openai.chat")
    options = _options(fragments, facts)
    known = {"provider": where.provider, "model": where.model, **known_options(options)}
    rules = {hook: overlay(f.rules.get(hook, ()) for f in fragments) for hook in HOOKS}
    rules["params"] = overlay(
        [_output_limit(facts), dialect_table(dialect), *(f.rules.get("params", ()) for f in fragments)]
    )
    errors = overlay(f.errors for f in fragments)
    bound = {hook: bind_rules(rules[hook], known) for hook in HOOKS}
    fill = _filler(where)
    url = _last((f.url for f in fragments), None)
    return FieldMap(
        name,
        tuple(f.name for f in fragments),
        dialect,
        options,
        MappingProxyType({key.removeprefix("options."): value for key, value in known_options(options).items()}),
        **bound,
        errors=Classifier(errors, known),
        url=fill(url, quote(where.model, safe="")) if url is not None else None,
        auth=_last((f.auth for f in fragments), DEFAULT_AUTH[dialect]),
        headers={k.lower(): fill(v, where.model) for f in fragments for k, v in f.headers.set.items()},
        drop_headers=frozenset(header.lower() for f in fragments for header in f.headers.drop),
        rules_on_passthrough=_last((f.rules_on_passthrough for f in fragments), False),
        facts=facts,
        sources=_sources(rules, errors),
    )


def _last(values: Iterable[T | None], otherwise: T) -> T:
    """The last value that is given."""
    found = otherwise
    for value in values:
        if value is not None:
            found = value
    return found


def _options(fragments: Iterable[Fragment], facts: Facts) -> Options:
    options: dict[str, Any] = {}
    for fragment in fragments:
        options |= fragment.options
    if facts.max_output_tokens is not None:
        # A client that names no limit means "as much as there is"; Anthropic wants a number.
        options.setdefault("default_max_tokens", facts.max_output_tokens)
    return Options.model_validate(options)


def _output_limit(facts: Facts) -> tuple[Rule, ...]:
    """The rule that keeps `max_tokens` within what the model can give, where that is known."""
    if facts.max_output_tokens is None:
        return ()
    clamp = {"path": "max_tokens", "max": facts.max_output_tokens}
    return compile_list([{"id": "model-limit", "report": True, "clamp": clamp}], Place([]))


def _filler(where: Where) -> Callable[[str, str], str]:
    base = where.base_url.rstrip("/")
    return lambda text, model: text.replace("${base}", base).replace("${model}", model)


def _sources(
    rules: Mapping[str, tuple[Rule, ...]], errors: Iterable[CompiledError]
) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    shown = {hook: tuple(rule.source for rule in rules[hook]) for hook in HOOKS}
    return {**shown, "errors": tuple(rule.source for rule in errors)}
