"""The document with its templates rendered. The one rule: a provider without its credential is inactive, not wrong.

Templates are text between `{{` and `}}`, or `{%` and `%}`, in a value. `tests:` and field maps are left alone: their
texts belong to others, and their own `${…}` is filled in later.
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
        credential = len(path) == 3 and path[0] == "providers" and path[2] == "api_key"
        try:
            return self._rendered(text, credential=credential)
        except Missing as missing:
            if credential:
                self._result.inactive[int(path[1])] = str(missing)
                return None
            self._result.findings.append(Finding(path, str(missing), missing.hint))
        except Fault as fault:
            self._result.findings.append(Finding(path, fault.message, fault.hint))
        return text

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
        for index in list(self._result.inactive):
            provider = data["providers"][index]
            if provider.get("pass_client_credentials") is True or provider.get("is_active") is False:
                del self._result.inactive[index]
            elif provider.get("is_active", True) is True:
                provider["is_active"] = False


def _is_left_alone(path: Path) -> bool:
    return bool(path) and (path[0] in _LEFT_ALONE or (path[0] == "providers" and path[2:] == ("translation",)))
