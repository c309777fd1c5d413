"""`portbroker show`: the field map in force for a provider, with where each part of it comes from."""

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, provider_of
from portbroker.cli.terminal import CommandError, Terminal
from portbroker.conversation import Json

if TYPE_CHECKING:
    from portbroker.config.load import Loaded
    from portbroker.fieldmap.effective import FieldMap
    from portbroker.snapshot import Provider

DESCRIPTION = """\
Print the effective field map of a provider and one of its models as YAML: the preset, what the
file lays over it, and behind each option and rule the translation that it comes from.

The text can be put under `translations:` and changed there."""
EXAMPLES = """\
  portbroker show Groq
  portbroker show OpenAI gpt-5-mini
  portbroker show OpenAI gpt-5-mini --json"""

_RULES: Final = ("params", "request", "response", "stream", "errors")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER", help="the name of a provider of the file")
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the provider's name for a model")
    add_file(parser, positional=False)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    loaded, snapshot = compiled(config_path(args))
    provider = provider_of(snapshot, args.provider)
    model = args.model or _usual_model(provider)
    fieldmap = snapshot.target(provider, model).fieldmap
    if args.json:
        terminal.json({"provider": provider.name, "model": model, **fieldmap.show()})
        return 0
    terminal.say(f"# {provider.name}, model {model}")
    for line in as_yaml(fieldmap, written(fieldmap, loaded, provider.name)):
        terminal.say(line)
    return 0


def _usual_model(provider: "Provider") -> str:
    """A model to show the field map for when none is named: rules may depend on it."""
    plain = (name for name in provider.models if not set("*?[") & set(name))
    model = next(iter(provider.tiers.values()), None) or next(plain, None)
    if model is None:
        raise CommandError(f"{provider.name} names no model", f"portbroker show '{provider.name}' MODEL", status=2)
    return model


def written(fieldmap: "FieldMap", loaded: "Loaded", provider: str) -> dict[str, Json]:
    """Each part that the field map is made of, as it stands in the file or the package; the last one wins."""
    from portbroker.fieldmap.presets import read_preset

    layers: dict[str, Json] = {f"dialect {fieldmap.dialect}": read_preset(f"dialects/{fieldmap.dialect}")}
    for name in fieldmap.names:
        layers |= _built_in(name) | _declared(name, loaded, provider)
    return layers


def _built_in(name: str) -> dict[str, Json]:
    from portbroker.fieldmap.presets import builtin_names, read_preset

    kind, _, glob = name.partition(" ")
    if kind == "catalog" and (entry := read_preset("catalog")["catalog"].get(glob)):
        return {f"built-in {name}": entry}
    file = builtin_names().get(name)
    return {f"preset {name}": read_preset(file)["translations"][name]} if file else {}


def _declared(name: str, loaded: "Loaded", provider: str) -> dict[str, Json]:
    config = loaded.config
    kind, _, glob = name.partition(" ")
    found: Any = config.translations.get(name) or (config.catalog.get(glob) if kind == "catalog" else None)
    label = name if kind == "catalog" else f"translations.{name}"
    if name == f"of provider {provider}":
        label, found = "this provider", next(p.translation for p in config.providers if p.name == provider)
    return {label: found.model_dump(mode="json", by_alias=True, exclude_unset=True)} if found else {}


def as_yaml(fieldmap: "FieldMap", layers: Mapping[str, Json]) -> Iterator[str]:
    """The field map's lines, each option and rule with its origin behind it."""
    for key, value in fieldmap.show().items():
        if key in _RULES:
            yield f"{key}:"
            for rule in value:
                yield _commented(f"  - {_flow(rule)}", _origin_of_rule(key, rule, layers))
        elif key == "options":
            yield "options:"
            for name, setting in value.items():
                yield _commented(f"  {name}: {_flow(setting)}", _origin_of_option(name, layers))
        else:
            yield f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=2**31, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _commented(line: str, origin: str) -> str:
    return f"{line}  # {origin}" if origin else line


def _origin_of_rule(hook: str, rule: Mapping[str, Any], layers: Mapping[str, Json]) -> str:
    origins = [name for name, layer in layers.items() if any(_alike(rule, other) for other in layer.get(hook, ()))]
    if origins:
        return origins[-1]
    return "the model's output limit" if rule.get("id") == "model-limit" else ""


def _alike(rule: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return dict(rule) == dict(other)


def _origin_of_option(option: str, layers: Mapping[str, Json]) -> str:
    origin = next((name for name, layer in reversed(list(layers.items())) if option in layer.get("options", {})), "")
    return origin or ("the model's output limit" if option == "default_max_tokens" else "")
