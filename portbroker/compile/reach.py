"""Which rules can be reached, and where their names lead: what is wrong between rules, not within one.

The one rule: only what is certain is a mistake. A rule with conditions never keeps others from being reached.
"""

from collections.abc import Sequence

from portbroker.compile.faults import Faults
from portbroker.resolution import FALLBACKS, ModelRule, Resolver


def check_reach(rules: Sequence[ModelRule], faults: Faults) -> None:
    """Record the rules that an earlier one always comes before: a mistake in the order."""
    passed: dict[str, list[ModelRule]] = {}  # by what their names begin with: of thousands, few can hide another
    for rule in rules:
        starts = {rule.pattern.text[:length] for length in range(len(rule.pattern.text) + 1)}
        near = (other for start in starts & passed.keys() for other in passed[start] if _hides(other, rule))
        earlier = min(near, key=lambda other: other.number, default=None)
        passed.setdefault(rule.pattern.start, []).append(rule)
        if earlier is not None:
            place = ("models", rule.number - 1, "regex" if rule.pattern.regex else "match")
            faults.add(place, f"this rule can never match: rule {earlier.number} ({earlier.pattern.text}) takes all of "
                       "its models first", "put the narrower rule first")  # fmt: skip


def _hides(earlier: ModelRule, later: ModelRule) -> bool:
    if earlier.when is not None or not earlier.pattern.covers(later.pattern):
        return False
    if earlier.model is None or earlier.providers:
        return True
    # A name goes through a rule once, so what this one makes of it may come to the later one.
    return not earlier.model.groups and later.pattern.match(earlier.model.text) is None


def check_names(rules: Sequence[ModelRule], models: Resolver, faults: Faults) -> None:
    """Record the names in `model` and `fallbacks` that lead nowhere, or round in a circle."""
    for rule in rules:
        if rule.model is not None and not rule.providers and not rule.model.groups:
            _check_alias(rule, rule.model.text, rules, models, faults)
        for word, kind in FALLBACKS.items():
            for number, name in enumerate(rule.fallbacks.get(kind, ())):
                _check_fallback(("models", rule.number - 1, "fallbacks", word, number), name, rule, models, faults)


def _check_fallback(place: tuple[str | int, ...], name: str, rule: ModelRule, models: Resolver, faults: Faults) -> None:
    if not models.serves(name):
        faults.add(place, f"no rule and no provider serves {name!r}", models.offer(name))
    elif rule.when is None and _sure(name, models.rules) is rule:
        faults.add(place, f"{name!r} comes back to this rule", "put a rule for it before this one")


def _check_alias(rule: ModelRule, model: str, rules: Sequence[ModelRule], models: Resolver, faults: Faults) -> None:
    place = ("models", rule.number - 1, "model")
    if not models.serves(model, besides=rule):
        faults.add(place, f"no rule and no provider serves {model!r}", models.offer(model))
    elif rule.when is None and (circle := _circle(rule, model, rules)):
        faults.add(place, f"goes round in a circle: {' -> '.join(circle)}", "one of them must lead to a provider")


def _circle(rule: ModelRule, model: str, rules: Sequence[ModelRule]) -> list[str]:
    """The names on the way from a rule back to itself, through rules that always hold; none when there is no way."""
    passed, names = [rule], [rule.pattern.text, model]
    while (following := _sure(names[-1], rules, passed[-1])) is not None:
        if following is rule:
            return names
        if following in passed or following.model is None or following.providers or following.model.groups:
            return []
        passed.append(following)
        names.append(following.model.text)
    return []


def _sure(name: str, rules: Sequence[ModelRule], besides: ModelRule | None = None) -> ModelRule | None:
    """The rule that decides for a name whatever the call is like, if there is one."""
    matching = (rule for rule in rules if rule is not besides and rule.pattern.match(name))
    first = next(matching, None)
    return first if first is not None and first.when is None else None
