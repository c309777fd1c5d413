"""Model rules: patterns, conditions and rewriting compiled, every name in them checked.

The one rule: a rule that can never decide, or that leads nowhere, is a mistake in the file.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from portbroker.compile.conditions import compile_condition, written
from portbroker.compile.faults import At, Faults
from portbroker.compile.reach import check_reach
from portbroker.compile.reliability import compile_hedge
from portbroker.config.model import Config, ModelConfig, TargetConfig
from portbroker.fieldmap.problems import RulesError
from portbroker.patterns import Pattern, Rewrite, regex_fault
from portbroker.resolution import FALLBACKS, ModelRule, RuleTarget
from portbroker.snapshot import Provider


def compile_rules(config: Config, providers: Mapping[str, Provider], faults: Faults) -> tuple[ModelRule, ...]:
    """The rules in the order of the file; those with mistakes are left out and recorded."""
    if "models" not in config.model_fields_set:
        return _defaults(config.models, providers)
    compiled = [_Rule(index, rule, providers, faults).compile() for index, rule in enumerate(config.models)]
    rules = tuple(rule for rule in compiled if rule is not None)
    check_reach(rules, faults)
    return rules


def _defaults(rules: Sequence[ModelConfig], providers: Mapping[str, Provider]) -> tuple[ModelRule, ...]:
    """The default rules for the tiers that there are: others would take names from whoever lists them."""
    tiers = {tier for provider in providers.values() for tier in provider.tiers}
    named = [(number, str(rule.match), rule.tier) for number, rule in enumerate(rules, 1) if rule.tier in tiers]
    return tuple(ModelRule(number, glob, Pattern(glob), tier=tier) for number, glob, tier in named)


class _Rule:
    """One rule under compilation."""

    def __init__(self, index: int, config: ModelConfig, providers: Mapping[str, Provider], faults: Faults) -> None:
        self._at: At = ("models", index)
        self._config = config
        self._providers = providers
        self._faults = faults

    def compile(self) -> ModelRule | None:
        pattern, when = self._pattern(), None
        try:
            when = compile_condition(self._config.when)
        except RulesError as error:
            self._faults.add_rules((*self._at, "when"), error)
            pattern = None
        self._check_destination()
        self._check_providers()
        self._check_targets()
        self._check_strategy()
        if pattern is None:
            return None
        self._check_references(pattern)
        config = self._config
        timeout = config.timeout
        return ModelRule(
            number=self._at[1] + 1 if isinstance(self._at[1], int) else 0,
            name=pattern.text + (f" when {written(config.when)}" if config.when else ""),
            pattern=pattern,
            when=when,
            tier=config.tier,
            targets=tuple(_target(target) for target in config.targets),
            model=Rewrite(config.model) if config.model is not None else None,
            providers=config.providers,
            strategy=config.strategy,
            sticky=config.sticky.by if config.sticky is not None else None,
            fallbacks={kind: names for word, kind in FALLBACKS.items() if (names := getattr(config.fallbacks, word))},
            waits={phase: getattr(timeout, phase) for phase in timeout.model_fields_set} if timeout else {},
            hedge=compile_hedge(config.hedge),
        )

    def _fault(self, where: At, message: str, hint: str = "") -> None:
        self._faults.add((*self._at, *where), message, hint)

    # what it is for

    def _pattern(self) -> Pattern | None:
        config = self._config
        if (config.match is None) == (config.regex is None):
            self._fault((), "a rule needs either `match` or `regex`", "match: a glob over the requested model")
            return None
        if config.regex is None:
            return Pattern(str(config.match))
        if fault := regex_fault(config.regex):
            self._fault(("regex",), *fault)
            return None
        return Pattern(config.regex, regex=True)

    def _check_references(self, pattern: Pattern) -> None:
        """What `{{ match[1] }}` asks for must be there."""
        places: list[tuple[At, str]] = [(("model",), self._config.model or "")]
        places += [(("targets", at, "model"), target.model) for at, target in enumerate(self._config.targets)]
        groups = pattern.expression.groups
        for where, text in places:
            for number in Rewrite(text).groups:
                if number > groups:
                    each = "group" if pattern.regex else "`*`"
                    has = f"{pattern.text} has {groups or 'no'} {each}" + "s" * (pattern.regex and groups != 1)
                    self._fault(where, f"there is no match[{number}]: {has}", "match[0] is the whole name")
                    break

    # where it leads

    def _check_destination(self) -> None:
        config = self._config
        given = [bool(config.tier), bool(config.targets), config.model is not None]
        if sum(given) != 1:
            self._fault((), "a rule needs one of `tier`, `targets` and `model`",
                        "tier: big | medium | small; a list of targets; or another model's name")  # fmt: skip
        if config.tier and self._providers and not any(config.tier in p.tiers for p in self._allowed()):
            of = f" of {', '.join(config.providers)}" if config.providers else ""
            self._fault(("tier",), f"no provider{of} has a model for the tier {config.tier}",
                        f"give a provider a {config.tier}_model")  # fmt: skip

    def _allowed(self) -> Iterable[Provider]:
        names = self._config.providers
        return [provider for provider in self._providers.values() if not names or provider.name in names]

    def _check_providers(self) -> None:
        config = self._config
        if config.providers and config.targets:
            self._fault(("providers",), "`targets` name their providers themselves", "leave `providers` out")
        for at, name in enumerate(config.providers):
            self._check_provider(("providers", at), name)

    def _check_provider(self, where: At, name: str) -> None:
        if name not in self._providers:
            self._fault(where, f"no provider is called {name!r}", _nearest(name, self._providers))

    def _check_targets(self) -> None:
        seen: set[tuple[str, str]] = set()
        for at, target in enumerate(self._config.targets):
            self._check_provider(("targets", at, "provider"), target.provider)
            if (target.provider, target.model) in seen:
                self._fault(("targets", at), f"{target.provider}/{target.model} is a target of this rule already",
                            "give it a `weight` instead")  # fmt: skip
            seen.add((target.provider, target.model))

    # how it chooses

    def _check_strategy(self) -> None:
        config = self._config
        strategy = config.strategy or "priority"
        if config.sticky is not None and strategy != "sticky":
            self._fault(("sticky",), f"`sticky` does nothing under the strategy {strategy}", "add `strategy: sticky`")
        weighted = [at for at, target in enumerate(config.targets) if target.weight is not None]
        if strategy == "weighted" and not weighted:
            self._fault(("strategy",), "no target has a weight", "give `targets` a `weight`, or say round_robin")
        if weighted and strategy not in ("weighted", "sticky"):
            self._fault(("targets", weighted[0], "weight"), f"a weight does nothing under the strategy {strategy}",
                        "add `strategy: weighted`")  # fmt: skip
        if weighted and not any(target.weight != 0 for target in config.targets):
            self._fault(("targets", weighted[0], "weight"), "no target has a weight above 0", "give one a share")


def _target(config: TargetConfig) -> RuleTarget:
    return RuleTarget(config.provider, Rewrite(config.model), 1 if config.weight is None else config.weight)


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"providers are: {', '.join(known) or 'none'}"
