"""The document with its templates rendered. The one rule: a provider without its credential is inactive, not wrong.

Templates are text between `{{` and `}}`, or `{%` and `%}`, in a value. `tests:` and field maps are left alone: their
texts belong to others, and their own `${…}` is filled in later. So is `{{ match[1] }}` in the models of a model rule.
"""

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portbroker.config.environment import Environment, Missing
from portbroker.config.place import Finding, Path
from portbroker.config.syntax import Fault
from portbroker.config.values import Rendered

if TYPE_CHECKING:
    from portbroker.config.templates import Templates

# What nearly every file says. It needs no engine, and jinja2 takes 80 ms to import.
_PLAIN = re.compile(r"\{\{ *(env|secret)\.([A-Za-z][A-Za-z0-9_]*) *\}\}")
# What a rule's pattern took of a requested model: it is known when one is asked for.
_TAKEN = re.compile(r"(\{\{ *match\[\d{1,2}\] *\}\})")
_LEFT_ALONE = frozenset(("tests", "translations", "catalog"))


@dataclass(slots=True)
class Rendering:
    """`inactive` gives the reason by the provider's index."""

    data: Any
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    inactive: dict[int, str] = field(default_factory=dict)


def is_template(value: Any) -> bool:
    """Whether the value is a text that holds a template."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render(data: Any, environment: Environment) -> Rendering:
    """The data with every template rendered; the data itself is not changed."""
    return _Renderer(environment).render(data)


class _Renderer:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._templates: Templates | None = None
        self._result = Rendering(None)
        self._lacking: dict[int, list[str]] = {}

    def render(self, data: Any) -> Rendering:
        self._environment.expect(json.dumps(data))
        self._result.data = self._value(data, ())
        self._deactivate(self._result.data)
        return self._result

    def _value(self, value: Any, path: Path) -> Any:
        if _is_left_alone(path):
            self._warn(value, path)
            return value
        if isinstance(value, dict):
            return {key: self._value(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._text(value, path) if is_template(value) else value

    def _warn(self, value: Any, path: Path) -> None:
        """Say of a template in a field map that it stays text; in a test it is a part of some prompt."""
        if path[0] == "tests":
            return
        steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, inner in steps:
            self._warn(inner, (*path, step))
        if is_template(value):
            message = "a field map is not rendered: this template stays the text that it is"
            self._result.warnings.append(Finding(path, message, "put it under the provider's `headers`"))

    def _text(self, text: str, path: Path) -> Any:
        credential = _is_credential(path)
        try:
            if _is_rewritten(path):
                return self._around_taken(text)
            return self._rendered(text, credential=credential)
        except Missing as missing:
            if credential:
                self._lack(path, missing)
                return None
            self._result.findings.append(Finding(path, str(missing), missing.hint))
        except Fault as fault:
            self._result.findings.append(Finding(path, fault.message, fault.hint))
        return text

    def _lack(self, path: Path, missing: Missing) -> None:
        """A credential is missing. Of several it is just not used, which is said."""
        index = int(path[1])
        self._lacking.setdefault(index, []).append(str(missing))
        if path[2] == "api_keys":
            message = f"this key is not used: {missing}"
            self._result.warnings.append(Finding(path, message, missing.hint))

    def _around_taken(self, text: str) -> str:
        """The text with every template rendered but those that stand for what a pattern took."""
        pieces = _TAKEN.split(text)
        pieces[::2] = [
            self._rendered(piece, credential=False) if is_template(piece) else piece for piece in pieces[::2]
        ]
        return "".join(pieces)

    def _rendered(self, text: str, *, credential: bool) -> Rendered:
        if not (plain := _PLAIN.fullmatch(text)):
            return self._loaded_templates().render(text, credential=credential)
        read = self._environment.variable if plain[1] == "env" else self._environment.secret
        value = read(plain[2])
        if credential and not value.strip():
            raise Missing(f"{plain[2]} is empty")
        return Rendered(value.strip() if credential else value)

    def _loaded_templates(self) -> "Templates":
        if self._templates is None:
            from portbroker.config.templates import Templates  # jinja2 costs start-up time

            self._templates = Templates(self._environment)
        return self._templates

    def _deactivate(self, data: Any) -> None:
        """Switch the providers off that lack their credential, but for those that send the client's own."""
        for index, reasons in self._lacking.items():
            provider = data["providers"][index]
            if provider.get("pass_client_credentials") is True or provider.get("is_active") is False:
                continue
            if _holds_key(provider):
                continue
            self._result.inactive[index] = ", ".join(reasons)
            if provider.get("is_active", True) is True:
                provider["is_active"] = False


def _is_left_alone(path: Path) -> bool:
    return bool(path) and (path[0] in _LEFT_ALONE or (path[0] == "providers" and path[2:] == ("translation",)))


def _is_credential(path: Path) -> bool:
    """Whether this is `api_key` of a provider, or one of its `api_keys`."""
    if path[0] != "providers" or len(path) < 3:
        return False
    return path[2:] == ("api_key",) or (path[2] == "api_keys" and (len(path) == 4 or path[4:] == ("key",)))


def _holds_key(provider: Any) -> bool:
    """Whether one of several keys is there."""
    keys = provider.get("api_keys")
    found = [key.get("key") if isinstance(key, dict) else key for key in keys] if isinstance(keys, list) else []
    return any(found)


def _is_rewritten(path: Path) -> bool:
    """Whether this is the model of a model rule, or of one of its targets."""
    return path[0] == "models" and path[-1] == "model" and (len(path) == 3 or path[2:3] == ("targets",))
