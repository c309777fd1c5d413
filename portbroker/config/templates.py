"""Templates in values: `{{ env.NAME }}`, `{{ secret.name }}`, `{{ file('name') }}`, and little else.

The one rule: a template reads those three and calls nothing but `file`; what went wrong is said without any value.
Import this only for a file that holds a template: jinja2 costs start-up time.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from portbroker.config.environment import MAX_VALUE, Environment, Missing
from portbroker.config.syntax import Fault
from portbroker.config.values import Rendered

_ROOTS = ("env", "secret", "file")
_FILTERS = ("default", "d", "trim", "lower", "upper", "replace", "string", "int", "first", "last", "join", "urlencode")
_MATCH = "it is written `{{ match[1] }}`, in the `model` of a model rule or of its targets"
_KNOWN = "a template knows env.NAME, secret.NAME and file('NAME')"


class _Refused(SecurityError):
    """Something that a template may not do, in our words."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """No operator or method that makes much out of little."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise _Refused(f"`{operator}` is not allowed in a template")

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, _File)


class _Names:
    """`env` or `secret` in a template. Notes why a name gave nothing."""

    __slots__ = ("_empty_is_missing", "_name", "_notes", "_read")

    def __init__(self, name: str, read: Callable[[str], str], notes: list[Missing], empty_is_missing: bool) -> None:
        self._name, self._read, self._notes, self._empty_is_missing = name, read, notes, empty_is_missing

    def __getitem__(self, name: str) -> str:
        try:
            value = self._read(name)
        except Missing as missing:
            self._notes.append(missing)
            raise KeyError(name) from None
        if self._empty_is_missing and not value.strip():
            self._notes.append(Missing(f"{name} is empty"))
            raise KeyError(name)
        return value

    def __str__(self) -> str:
        raise _Refused(f"`{self._name}` is many values; name one: {self._name}.NAME")

    __repr__ = __str__


class _File:
    """`file('name')` in a template."""

    __slots__ = ("_notes", "_read")

    def __init__(self, read: Callable[[str], str], notes: list[Missing]) -> None:
        self._read, self._notes = read, notes

    def __call__(self, name: str) -> str:
        try:
            return self._read(str(name))
        except Missing as missing:
            self._notes.append(missing)
            raise

    def __str__(self) -> str:
        raise _Refused("`file` needs a name: file('NAME')")


class Templates:
    """Renders one file's templates."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._sandbox = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, cache_size=0)
        self._sandbox.globals.clear()
        self._sandbox.filters = {name: self._sandbox.filters[name] for name in _FILTERS}

    def render(self, text: str, *, credential: bool = False) -> Rendered:
        """What the template stands for. Raises `Missing` or `Fault`. In a credential, empty is missing."""
        self._check(text)
        notes: list[Missing] = []
        try:
            rendered = self._sandbox.from_string(text).render(self._names(notes, credential))
        except (UndefinedError, Missing):
            raise self._absent(notes) from None
        except _Refused as error:
            raise Fault(str(error.message), hint=_KNOWN) from None
        except SecurityError:  # jinja2's own words may hold the value
            raise Fault("a template may read values, and call nothing but `file`", hint=_KNOWN) from None
        except Fault:
            raise
        except Exception as error:  # a filter may raise anything, and its message may hold the value
            raise Fault(f"the template fails ({type(error).__name__})", hint=_KNOWN) from None
        if len(rendered) > MAX_VALUE:
            raise Fault("the template gives too long a text")
        if credential and not rendered.strip():
            raise notes[0] if notes else Missing("its template gives nothing")
        return Rendered(rendered.strip() if credential else rendered)

    def _names(self, notes: list[Missing], credential: bool) -> dict[str, Any]:
        environment = self._environment
        return {
            "env": _Names("env", environment.variable, notes, credential),
            "secret": _Names("secret", environment.secret, notes, credential),
            "file": _File(environment.file, notes),
        }

    def _absent(self, notes: list[Missing]) -> Exception:
        return notes[0] if notes else Fault("the template asks a value for a part that it has not", hint=_KNOWN)

    def _check(self, text: str) -> None:
        """Find what is wrong with the template whatever the variables hold."""
        try:
            unknown = meta.find_undeclared_variables(self._sandbox.parse(text)) - set(_ROOTS)
            self._sandbox.compile(text)
        except TemplateSyntaxError as error:
            raise Fault(f"this template cannot be read: {_plain(error.message)}", hint=_hint(error)) from None
        except (TemplateError, RecursionError):
            raise Fault("this template cannot be read", hint=_KNOWN) from None
        if unknown:
            name = min(unknown)
            near = difflib.get_close_matches(name.lower(), _ROOTS, 1)
            hint = f"did you mean `{near[0]}`?" if near else _MATCH if name == "match" else _KNOWN
            raise Fault(f"a template does not know `{name}`", hint=hint)


def _plain(message: str | None) -> str:
    text = (message or "").rstrip(".")
    text = text.replace("'end of print statement'", "'}}'").replace("'end of statement block'", "'%}'")
    return text[:1].lower() + text[1:]


def _hint(error: TemplateSyntaxError) -> str:
    """The nearest filter for an unknown one; what a template knows for all else."""
    if not (unknown := re.search(r"filter named '(\w+)'", error.message or "")):
        return _KNOWN
    near = difflib.get_close_matches(unknown[1], _FILTERS, 1)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(_FILTERS)}"
