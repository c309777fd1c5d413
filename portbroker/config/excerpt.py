"""The line of a problem with a caret below it, for people at a terminal. One rule: no secret in it is shown."""

import re

from portbroker.errors import Problem

_WIDTH = 100
_MASK = "***"
# Values of these keys, templates apart, and whatever looks like a key.
_NAMED = re.compile(
    r"""(?ix) ["']? \b (?: api[_-]?key | x-api-key | authorization | cookie | proxy
        | [\w-]*(?:secret|token|password|credential)s? )
    ["']? \s* : \s+ (?P<value> "(?:[^"\\]|\\.)*"? | '[^']*'? | [^\s"'{}\[\],#][^{},]* )"""
)
_SHAPED = re.compile(
    r"(?P<value>\b(?:sk|pk|gsk|xai|pplx|hf|r8|fw|nvapi|ghp)[-_][\w.-]{8,}|\bAIza[\w-]{12,}|\beyJ[\w.-]{16,}"
    r"|\b(?=\w*\d)(?=\w*[A-Za-z])\w{32,})"
)
_COUNT = re.compile(r"""["']?\w*tokens["']?\s*:\s+\d+\W*$""")
"""Says how many tokens, and is none: `max_output_tokens: 100`."""
_IN_URL = re.compile(r"""://(?P<value>[^\s"']+)@""")
_WORD = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[^\s,\[\]{}]+""")


def looks_secret(text: str) -> bool:
    """Whether a part of it has the shape of a key."""
    return _SHAPED.search(text) is not None


def excerpt(problem: Problem, text: str) -> list[str]:
    """The problem's line of `text`, which is that of its file, and a line that points; nothing when it has no line."""
    lines = text.split("\n")
    if not 0 < problem.line <= len(lines):
        return []
    line, column = _masked(lines[problem.line - 1].rstrip("\r").replace("\t", " "), max(problem.column - 1, 0))
    line, column = _window(line, column)
    found = _WORD.match(line, column)
    gutter = str(problem.line)
    return [f" {gutter} | {line}", f" {' ' * len(gutter)} | {' ' * column}{'^' * (len(found[0]) if found else 1)}"]


def _masked(line: str, column: int) -> tuple[str, int]:
    """The line without secrets, and where the column went."""
    for pattern in (_IN_URL, _NAMED, _SHAPED):
        for found in reversed(list(pattern.finditer(line))):
            start, end = found.span("value")
            if "{{" in found["value"] or _COUNT.match(found[0]):
                continue
            line = line[:start] + _MASK + line[end:]
            column = start if start <= column < end else column - (end - start - len(_MASK)) * (end <= column)
    return line, column


def _window(line: str, column: int) -> tuple[str, int]:
    """A part of a long line with the column in it."""
    if len(line) <= _WIDTH:
        return line, min(column, len(line))
    start = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
    part = line[start : start + _WIDTH]
    head, tail = "… " if start else "", " …" if start + _WIDTH < len(line) else ""
    return head + part + tail, column - start + len(head)
