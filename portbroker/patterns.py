"""Patterns over requested models: globs and regular expressions, what they take of a name, and rewriting by it.

The one rule: matching takes time in proportion to the name, or bounded time, because names come from clients.
"""

import re
from dataclasses import dataclass, field

from portbroker.fieldmap.globs import compile_glob, glob_expression

MAX_NAME = 200
"""The longest name, in characters, that a regular expression is tried on: it may take the cube of that in steps."""

_REFERENCE = re.compile(r"\{\{ *match\[(\d{1,2})\] *\}\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_OPENING = re.compile(r"\((?:\?(?:P<\w+>|[:=!>]|<[=!]))?")
_REPEATS = re.compile(r"[*+]|\{\d*,?\d*\}")
_MOST_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Pattern:
    """What names a rule is for. `text` is as written, `regex` says in which language."""

    text: str
    regex: bool = False
    expression: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        source = self.text if self.regex else glob_expression(self.text, capture=True)
        object.__setattr__(self, "expression", re.compile(source, 0 if self.regex else re.DOTALL))

    def match(self, name: str) -> re.Match[str] | None:
        """What it takes of a name that it matches as a whole."""
        if self.regex and len(name) > MAX_NAME:
            return None
        return self.expression.fullmatch(name)

    @property
    def name(self) -> str | None:
        """The one name that it matches, where it is no more than a name."""
        return None if self.regex or set("*?") & set(self.text) else self.text

    @property
    def start(self) -> str:
        """What every name that it matches begins with, as far as that is certain."""
        return "" if self.regex else re.split(r"[*?]", self.text, maxsplit=1)[0]

    def covers(self, later: "Pattern") -> bool:
        """Whether it matches every name that `later` does; false when that is not certain."""
        if later == self:
            return True
        if later.name is not None:
            return self.match(later.name) is not None
        if self.regex or later.regex:
            return not self.regex and not set(self.text) - {"*"}
        stand_in = later.text.replace("*", "\ue000").replace("?", "\ue001")
        return "?" not in self.text and compile_glob(self.text)(stand_in)


def regex_fault(text: str) -> tuple[str, str] | None:
    """Why a regular expression cannot be used, and what to do."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"this regular expression cannot be read: {error}", "a glob, under `match`, is simpler"
    plain = _OPENING.sub("(", _CLASS.sub("x", re.sub(r"\\.", "x", text, flags=re.DOTALL)))
    if _repeats_a_choice(plain):
        hint = "a name could be chosen that takes for ever; repeat single characters only, as in `[a-z-]*`"
        return "this regular expression repeats a group that itself repeats or chooses", hint
    if len(_REPEATS.findall(plain)) > _MOST_REPEATS:
        return f"this regular expression has more than {_MOST_REPEATS} repetitions", "a glob may have any number of `*`"
    return None


def _repeats_a_choice(plain: str) -> bool:
    """Whether a group with a repetition or a choice in it is repeated: what makes time explode."""
    depths = [False]
    for at, character in enumerate(plain):
        repeats = character == "?" or _REPEATS.match(plain, at) is not None
        if character == "(":
            depths.append(False)
        elif character == ")" and len(depths) > 1:
            inner = depths.pop()
            if inner and _REPEATS.match(plain, at + 1):
                return True
            depths[-1] = depths[-1] or inner
        elif repeats or character == "|":
            depths[-1] = True
    return False


class Rewrite:
    """A text in which `{{ match[1] }}` stands for what a pattern took. `groups` are those that it asks for."""

    __slots__ = ("_first", "_pieces", "groups", "text")

    def __init__(self, text: str) -> None:
        self._first, *rest = _REFERENCE.split(text)
        self.text = text
        self.groups = tuple(map(int, rest[::2]))
        self._pieces = tuple(rest[1::2])

    def __call__(self, match: re.Match[str]) -> str:
        """The text for one name; a group that took nothing is empty."""
        if not self.groups:
            return self.text
        taken = ((match[group] or "") + piece for group, piece in zip(self.groups, self._pieces, strict=True))
        return self._first + "".join(taken)
