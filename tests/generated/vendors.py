"""Tables of the presets: where each vendor is, how its key is sent, its options and its rules.

The one rule: read from the files under `portbroker/presets`, comments included; they are the reasons.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

import portbroker
from portbroker.config.model import AuthConfig
from portbroker.fieldmap.effective import DEFAULT_AUTH
from portbroker.fieldmap.presets import preset_names, provider_defaults, read_preset
from tests.generated.regions import table

_PRESETS = Path(portbroker.__file__).parent / "presets"
_HOOKS = ("params", "request", "response", "stream", "errors")
_KEY = {"required": "required", "optional": "if the server wants one", "none": "none"}


def _overview() -> str:
    head = ("provider_type", "base URL", "dialect", "key", "sent as", "big, medium, small")
    return table(head, map(_preset, preset_names()))


def _preset(name: str) -> tuple[str, ...]:
    defaults = provider_defaults(name)
    main = read_preset(name)["translations"][name]
    auth = AuthConfig(**main["auth"]) if "auth" in main else DEFAULT_AUTH[main["dialect"]]
    models = (defaults.models.big, defaults.models.medium, defaults.models.small)
    return (
        f"[`{name}`](#{name})",
        f"`{defaults.base_url}`" if defaults.base_url else "yours",
        main["dialect"],
        _KEY[defaults.key],
        f"`{auth.header}: {auth.value}`" if defaults.key != "none" else "",
        ", ".join(f"`{model}`" for model in models if model),
    )


def _options() -> str:
    rows = [
        (f"`{name}`", _pairs(written["options"]), _matches(written))
        for preset in preset_names()
        for name, written in read_preset(preset)["translations"].items()
        if "options" in written
    ]
    return table(("translation", "options", "taken for"), rows)


def _pairs(options: dict[str, Any]) -> str:
    return ", ".join(f"`{key}: {_flow(value)}`" for key, value in options.items())


def _matches(written: dict[str, Any]) -> str:
    match = written.get("match")
    if match is None:
        return "the whole `provider_type`" if "extends" not in written else "who names it"
    models = match.get("model", "*")
    shown = ", ".join(f"`{glob}`" for glob in ([models] if isinstance(models, str) else models) if glob != "*")
    return " at ".join(part for part in (shown, f"`{match['base_url']}`" if "base_url" in match else "") if part)


def _vendors() -> str:
    """A section for each preset: what it is, what is special, and every rule with its reason."""
    return "\n".join("".join(_vendor(name)) for name in preset_names())


def _vendor(preset: str) -> Iterator[str]:
    text = (_PRESETS / f"{preset}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    yield f"### {preset}\n\n{_comment_before(lines, _first_content(lines))}\n"
    if endpoints := provider_defaults(preset).endpoints:
        yield f"\nBeside calls it has {', '.join(f'`{name}`' for name in endpoints)}.\n"
    hosts = read_preset("index")["hosts"][preset]
    if hosts:
        yield f"\nHosts it is known by: {', '.join(f'`{host}`' for host in hosts)}.\n"
    for name, node in _translations(text):
        rules = list(_rules(node, lines))
        if rules:
            title = "" if name == preset else f" in `{name}` ({_matches(read_preset(preset)['translations'][name])})"
            yield f"\nRules{title}:\n\n" + "".join(f"- {rule}\n" for rule in rules)


def _translations(text: str) -> Iterator[tuple[str, yaml.MappingNode]]:
    document = yaml.compose(text)
    assert isinstance(document, yaml.MappingNode)
    for key, value in document.value:
        if key.value == "translations":
            for name, node in value.value:
                yield name.value, node


def _rules(node: yaml.MappingNode, lines: list[str]) -> Iterator[str]:
    for key, value in node.value:
        if key.value in _HOOKS:
            for item in value.value:
                yield _rule(key.value, item, lines)


def _rule(hook: str, node: yaml.MappingNode, lines: list[str]) -> str:
    rule = yaml.safe_load(yaml.serialize(node))
    name = rule.pop("id")
    at = node.start_mark.line
    why = _comment_before(lines, at)
    text = f"`{name}` ({hook}): `{_flow(rule)}`"
    return f"{text}. {why}" if why else text


def _comment_before(lines: list[str], at: int) -> str:
    """The comment right above a line, as one text."""
    start = at
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return " ".join(line.strip().lstrip("# ") for line in lines[start:at])


def _first_content(lines: list[str]) -> int:
    return next(at for at, line in enumerate(lines) if line and not line.startswith("#"))


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=2**31, allow_unicode=True)
    return re.sub(r"\n(\.\.\.\n)?$", "", text)


TABLES: dict[str, Callable[[], str]] = {
    "presets": _overview,
    "options of presets": _options,
    "rules of presets": _vendors,
}
