"""Globs: `*` stands for any text, `?` for one character, and every other character for itself.

The one rule: matching takes time in proportion to the text, because the text may come from a client. Brackets are plain
characters, since model names hold them (`claude-sonnet[1m]`).
"""

import re
from collections.abc import Callable, Iterable


def glob_expression(glob: str, *, capture: bool = False) -> str:
    """A glob as a regular expression. With `capture`, what each `*` takes is a group of its own."""
    first, *rest = ["".join("." if c == "?" else re.escape(c) for c in part) for part in glob.split("*")]
    if not rest:
        return first
    few, many = ("(.*?)", "(.*)") if capture else (".*?", ".*")
    # An atomic group per part: the earliest place is always good enough, so nothing is ever tried twice.
    middle = "".join(f"(?>{few}{part})" for part in rest[:-1] if part or capture)
    # The end is anchored separately; a lookahead would let `.*` walk back over the text only once.
    return f"{first}{middle}{many}{rest[-1]}"


def compile_glob(globs: str | Iterable[str]) -> Callable[[str], bool]:
    """A test for one glob, or for any of several; without any, nothing passes."""
    expressions = [glob_expression(glob) for glob in ([globs] if isinstance(globs, str) else globs)]
    if not expressions:
        return lambda _: False
    match = re.compile("|".join(f"(?:{e})" for e in expressions), re.DOTALL).fullmatch
    return lambda text: match(text) is not None


def literal_length(glob: str) -> int:
    """How much of a glob is literal text: the longer, the more exactly it says what it means."""
    return len(glob) - glob.count("*") - glob.count("?")
